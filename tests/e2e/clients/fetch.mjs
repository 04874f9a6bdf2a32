// Node's fetch, as anybody calls it: `node fetch.mjs METHOD URL…` prints a line of JSON for each URL.
const [method, ...urls] = process.argv.slice(2);

for (const url of urls) {
  const answer = await fetch(url, { method });
  const body = Buffer.from(await answer.arrayBuffer());
  console.log(
    JSON.stringify({
      status: answer.status,
      redirected: answer.redirected,
      length: answer.headers.get("content-length"),
      body: body.toString("base64"),
    }),
  );
}
