// What ali-oss signs with V1 for each request of a list that comes as JSON on stdin; the URLs go out as JSON.
"use strict";

const fs = require("node:fs");
const OSS = require("ali-oss");

const urls = JSON.parse(fs.readFileSync(0, "utf8")).map(({ settings, key, options }) =>
  new OSS(settings).signatureUrl(key, options),
);
process.stdout.write(JSON.stringify(urls));
