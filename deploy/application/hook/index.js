// What `s init` runs around its copying. Its faults are swallowed by the tool, so nothing is checked here: that is done
// by `make build`, before anything is deployed.
exports.preInit = async () => {};

exports.postInit = async ({ logger }) => {
  logger.info('Next: make check (is what you filled in right?), make policies (the roles), s deploy.');
};
