// `s init` runs these before and after it copies the files. It ignores their errors, so nothing is checked here:
// `make build` checks the values before a deployment.
exports.preInit = async () => {};

exports.postInit = async ({ logger }) => {
  logger.info('Next: make check (checks your values), make policies (prints the policies of the roles), s deploy.');
};
