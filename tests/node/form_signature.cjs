// What ali-oss signs for each policy of a list that comes as JSON on stdin; the signatures go out as JSON.
"use strict";

const fs = require("node:fs");
const OSS = require("ali-oss");

const signed = JSON.parse(fs.readFileSync(0, "utf8")).map(({ settings, policy, date }) =>
  new OSS(settings).signPostObjectPolicyV4(policy, new Date(date)),
);
process.stdout.write(JSON.stringify(signed));
