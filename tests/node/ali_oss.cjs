// Drives the laptop's OSS with ali-oss. Each line of stdin is JSON with a scenario and its settings; it is answered by a
// line of JSON, "ok" when all holds, else the error.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { Readable } = require("node:stream");
const OSS = require("ali-oss");

const KEY = "exampledir/a b+ü%2F中.bin";
const LARGE = Buffer.from(Array.from({ length: 450000 }, (_, index) => (index * 7) % 256));

const refusal = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "the request was not refused" });
};

const download = (url, headers) =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { headers }, async (response) => {
      const blocks = [];
      for await (const block of response) blocks.push(block);
      resolve({ status: response.statusCode, body: Buffer.concat(blocks) });
    });
    request.on("error", reject);
  });

const scenarios = {
  async objects(client) {
    const put = await client.put(KEY, LARGE, { meta: { owner: "someone" }, mime: "text/plain" });
    assert.equal(put.res.status, 200);
    const got = await client.get(KEY);
    assert.ok(got.content.equals(LARGE));
    const head = await client.head(KEY);
    assert.equal(head.meta.owner, "someone");
    assert.equal(head.res.headers["content-type"], "text/plain");
    assert.equal(head.res.headers["content-length"], String(LARGE.length));
    assert.equal((await client.getObjectMeta(KEY)).res.headers.etag, head.res.headers.etag);
    const part = await client.get(KEY, { headers: { Range: "bytes=10-19" } });
    assert.equal(part.res.status, 206);
    assert.ok(part.content.equals(LARGE.subarray(10, 20)));
    await client.copy("copy", KEY);
    assert.ok((await client.get("copy")).content.equals(LARGE));
    await client.delete(KEY);
    const missing = await refusal(client.get(KEY));
    assert.deepEqual([missing.status, missing.code], [404, "NoSuchKey"]);
    const headless = await refusal(client.head(KEY));
    assert.equal(headless.status, 404);
  },

  async streams(client) {
    await client.putStream(KEY, Readable.from([LARGE.subarray(0, 1000), LARGE.subarray(1000)]));
    await client.put(KEY, Readable.from([LARGE]), { headers: { "Content-Length": LARGE.length } });
    const { stream } = await client.getStream(KEY);
    const blocks = [];
    for await (const block of stream) blocks.push(block);
    assert.ok(Buffer.concat(blocks).equals(LARGE));
  },

  async lists(client) {
    const keys = ["a b", "b/1", "b/2", "ü"];
    for (const key of keys) await client.put(key, Buffer.from(key));
    const found = [];
    let marker;
    do {
      const page = await client.list({ "max-keys": 3, ...(marker ? { marker } : {}) });
      found.push(...page.objects.map((object) => object.name));
      marker = page.nextMarker;
    } while (marker);
    assert.deepEqual(found, keys);
    const again = [];
    let token;
    do {
      const page = await client.listV2({ "max-keys": "1", ...(token ? { "continuation-token": token } : {}) });
      again.push(...page.objects.map((object) => object.name));
      token = page.nextContinuationToken;
    } while (token);
    assert.deepEqual(again, keys);
    assert.deepEqual((await client.listV2({ delimiter: "/" })).prefixes, ["b/"]);
  },

  async parts(client) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ali-oss-"));
    try {
      const file = path.join(folder, "file");
      fs.writeFileSync(file, LARGE);
      const done = await client.multipartUpload(KEY, file, { partSize: 110000, parallel: 3 });
      assert.match(done.etag, /-5"$/);
      assert.ok((await client.get(KEY)).content.equals(LARGE));
      const { uploadId } = await client.initMultipartUpload("unfinished");
      const part = await client.uploadPart("unfinished", uploadId, 1, file, 0, 1000);
      const listed = await client.listParts("unfinished", uploadId);
      assert.equal(listed.parts.ETag ?? listed.parts[0].ETag, part.etag);
      await client.abortMultipartUpload("unfinished", uploadId);
      assert.equal((await refusal(client.listParts("unfinished", uploadId))).code, "NoSuchUpload");
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },

  async versions(client, settings) {
    await client.putBucketVersioning(settings.bucket, "Enabled");
    assert.equal((await client.getBucketVersioning(settings.bucket)).versionStatus, "Enabled");
    const first = (await client.put(KEY, Buffer.from("first"))).res.headers["x-oss-version-id"];
    await client.put(KEY, Buffer.from("second"));
    assert.equal((await client.get(KEY, { versionId: first })).content.toString(), "first");
    await client.delete(KEY);
    assert.equal((await refusal(client.get(KEY))).code, "NoSuchKey");
  },

  async links(client, settings) {
    await client.put(KEY, LARGE);
    const url = await client.signatureUrlV4("GET", 60, undefined, KEY);
    // At an IP address only the Host tells the bucket, unless the path does.
    const host = settings.sldEnable ? {} : { Host: `${settings.bucket}.${settings.region}.aliyuncs.com` };
    const got = await download(url, host);
    assert.equal(got.status, 200);
    assert.ok(got.body.equals(LARGE));
    const forged = await download(url.replace("x-oss-expires=60", "x-oss-expires=61"), host);
    assert.equal(forged.status, 403);
    assert.match(forged.body.toString(), /<Code>SignatureDoesNotMatch<\/Code>/);
    // With V1, it signs links for names of hosts alone.
    const older = { ...settings, authorizationV4: false, endpoint: `http://${settings.region}.aliyuncs.com`, sldEnable: false };
    const v1 = new URL(new OSS(older).signatureUrl(KEY, { response: { "content-type": "a/b; c+d=%" } }));
    const read = await download(settings.endpoint + v1.pathname + v1.search, { Host: v1.host });
    assert.deepEqual([read.status, read.body.equals(LARGE)], [200, true]);
  },

  async forgeries(client, settings) {
    const wrong = new OSS({ ...settings, accessKeySecret: "wrong" });
    const refused = await refusal(wrong.put(KEY, LARGE));
    assert.deepEqual([refused.status, refused.code], [403, "SignatureDoesNotMatch"]);
    const older = new OSS({ ...settings, authorizationV4: false });
    assert.equal((await older.put(KEY, LARGE)).res.status, 200);
    const olderWrong = new OSS({ ...settings, authorizationV4: false, accessKeySecret: "wrong" });
    assert.equal((await refusal(olderWrong.put(KEY, LARGE))).code, "SignatureDoesNotMatch");
    const tokenless = new OSS({ ...settings, stsToken: undefined });
    assert.equal((await refusal(tokenless.put(KEY, LARGE))).code, "InvalidAccessKeyId");
    const claim = { headers: { "x-oss-forbid-overwrite": "true" } };
    await client.put("claim", Buffer.from("first"), claim);
    assert.equal((await refusal(client.put("claim", Buffer.from("second"), claim))).code, "FileAlreadyExists");
  },
};

const main = async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { scenario, settings } = JSON.parse(line);
    const answer = await scenarios[scenario](new OSS(settings), settings).then(() => "ok", (error) => String(error.stack));
    console.log(JSON.stringify(answer));
  }
};

main();
