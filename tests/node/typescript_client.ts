// What a front end calls, with the types that openapi-typescript makes of the service's own document.
// SERVICE and KEY are in the environment, FOLDER is a path to send to, and the last line says that all of it went well.
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

declare const process: { env: Record<string, string | undefined> };

type Link = components["schemas"]["Link"];
type Problem = components["schemas"]["Problem"];

const { SERVICE: baseUrl = "", KEY: key = "", FOLDER: folder = "" } = process.env;
const headers = { Authorization: `Bearer ${key}` };
const client = createClient<paths>({ baseUrl, headers });

function expect(condition: boolean, step: string): asserts condition {
  if (!condition) throw new Error(step);
}

/** What the service refused: TypeScript knows the members of a problem, and every code. */
function refused(error: Problem | undefined, code: Problem["code"]): string {
  expect(error?.code === code, `expected ${code}`);
  return error.detail;
}

async function content(link: Link): Promise<string> {
  const answer = await fetch(link.url, { headers: link.headers });
  return await answer.text();
}

// 1. Who am I?
const me = await client.GET("/-/me");
expect(me.data !== undefined, "me");
expect(me.data.mounts.some((mount) => mount.path === folder && mount.methods.includes("PUT")), "mounts");

// 2. Sign an upload, and a link to nothing: each has its own result.
const path = `${folder}typescript.txt`;
const signed = await client.POST("/-/sign", {
  body: { links: [{ path, method: "PUT", size: 5 }, { path: "/none" }] },
});
const [put, none] = signed.data?.links ?? [];
expect(put !== undefined && "url" in put, "sign");
expect(none !== undefined && "error" in none, "an error for each");
refused(none.error, "not_found");

// 3. Send the file. fetch sets Content-Length itself.
const { "Content-Length": _, ...fields } = put.headers;
const sent = await fetch(put.url, { method: put.method, headers: fields, body: "hello" });
expect(sent.status === 200, "PUT");

// 4. The redirect's link as JSON.
const got = await client.GET("/{path}", {
  params: { path: { path: path.slice(1) }, query: { format: "json", expires: "10m" } },
});
expect(got.data !== undefined && "url" in got.data, "link");
expect((await content(got.data)) === "hello", "content");

// 5. Look into the folder.
const listed = await client.GET("/{path}", { params: { path: { path: folder.slice(1) } } });
expect(listed.data !== undefined && "files" in listed.data, "folder");
expect(listed.data.files.some((file) => file.path === path), "files");

// 6. Share it for two downloads.
const shared = await client.POST("/-/shares", { body: { path, max_uses: 2, expires: "1d" } });
expect(shared.data !== undefined, "share");
const { id, url } = shared.data;

// 7. Use the share, as whoever has its address does.
const query = { share: new URL(url).searchParams.get("share") ?? "", format: "json" as const };
const address = { path: { name: "typescript.txt" }, query };
const used = await client.POST("/-/s/{name}", { params: address, body: { nonce: "typescript-client-1" } });
expect(used.data !== undefined && "method" in used.data, "use");
expect((await content(used.data)) === "hello", "shared content");

// 8. List what I share.
const shares = await client.GET("/-/shares", { params: { query: { limit: 20 } } });
const mine = shares.data?.shares.find((share) => share.id === id);
expect(mine?.state === "active" && mine.uses === 1, "list");

// 9. Revoke it; whoever opens it then reads why it ended.
const revoked = await client.DELETE("/-/shares/{id}", { params: { path: { id } } });
expect(revoked.response.status === 204 && revoked.error === undefined, "revoke");
const closed = await client.GET("/-/s/{name}", { params: address });
console.log(refused(closed.error, "share_revoked"));
