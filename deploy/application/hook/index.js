// `s init` runs these before and after it copies the files. It ignores their errors, so nothing is checked here:
// `make check` checks the values before each deployment.
exports.preInit = async () => {};

exports.postInit = async ({ logger }) => {
  logger.info(
    'Next: make check (checks your values), make policies FORMAT=commands (prints a script that creates the roles: ' +
      'read it, then run it), s deploy. README.md and README.zh-CN.md have every step.',
  );
};
