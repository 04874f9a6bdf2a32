// Sends a file to OSS, by a form or in parts. Of `service`, an object of functions that throw the word of an outcome,
//   begin()                  resolves to {url, fields} of a form, to {url, headers} of a PUT, or to {upload, again} with
//                            what begins an upload, and whether parts of it may have arrived before, or to {} for a
//                            file that arrived before
//   links(id, from, count)   resolves to an array with the links of parts
//   complete(id, etags)      resolves to the numbers of the parts that are missing, [] once the object is there.
// So does sendFile throw one: "failed" and "unavailable" pass by themselves. `onProgress` gets the bytes that were sent.
// What `signal` aborts is "stopped". `service.etags`, an object, keeps those of parts for the next try; `service.onPart` hears of each.
const TRIES = 5, PARALLEL = 3, STALLED = 60000;
async function sendFile(file, service, onProgress, signal) {
  const begun = await service.begin();
  if (begun.upload) return sendParts(file, begun, service, onProgress, signal);
  if (!begun.url) return; // it arrived before
  const form = new FormData();
  for (const [field, value] of Object.entries(begun.fields ?? {})) form.append(field, value);
  form.append("file", file);
  const sent = begun.fields ? ["POST", begun.url, {}, form] : ["PUT", begun.url, begun.headers, file];
  const response = await transmit(...sent, (share) => onProgress(share * file.size), signal);
  // 409: the first try arrived, and only its response was lost.
  if (response.status >= 300 && response.status !== 409) throw "refused";
}

async function sendParts(file, { upload, again }, service, onProgress, signal) {
  const { upload_id: id, part_size: size, part_count: count } = upload;
  const links = {}, etags = service.etags ?? {}, sent = {};
  const keep = (parts) => parts.forEach((part) => { links[part.part_number] = part; });
  const slice = (number) => file.slice((number - 1) * size, number * size);
  let total = 0, asked = null;
  const report = (number, bytes) => { total += bytes - (sent[number] ?? 0); sent[number] = bytes; onProgress(total); };
  const sendPart = async (number) => {
    // One request for links at a time, which are for a hundred parts.
    while (!links[number]) await (asked ??= service.links(id, number, 100).then(keep).finally(() => { asked = null; }));
    const { url, headers } = links[number], part = slice(number);
    delete links[number]; // it may have expired: a further try takes a new one
    const response = await transmit("PUT", url, headers, part, (share) => report(number, share * part.size), signal);
    report(number, response.status === 200 ? part.size : 0);
    if (response.status === 404) throw "ended"; // the upload was aborted
    if (response.status !== 200) throw response.status >= 500 ? "unavailable" : "refused";
    etags[number] = /^etag: *(.*)$/im.exec(response.getAllResponseHeaders())?.[1];
    service.onPart?.();
  };
  keep(upload.parts);
  const all = Array.from({ length: count }, (_, index) => index + 1);
  let missing = again ? await retry(() => service.complete(id, etags)) : all;
  const rest = new Set(missing);
  all.forEach((number) => rest.has(number) || report(number, slice(number).size));
  for (let round = 1; missing.length; round += 1) {
    if (round > TRIES) throw "failed";
    const queue = [...missing];
    const work = async () => { while (queue.length) { const number = queue.shift(); await retry(() => sendPart(number)); } };
    const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, () => work().finally(() => { queue.length = 0; })));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    missing = await retry(() => service.complete(id, etags));
  }
}
async function retry(attempt) {
  for (let tries = 1; ; tries += 1) {
    try { return await attempt(); } catch (reason) {
      if (tries === TRIES || !["failed", "unavailable", "refused"].includes(reason.outcome ?? reason)) throw reason;
    }
    await new Promise((resolve) => navigator.onLine ? setTimeout(resolve, 500 * 2 ** tries) : addEventListener("online", resolve, { once: true }));
  }
}
function transmit(method, url, headers, body, onSent, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw "stopped";
    const request = new XMLHttpRequest();
    let timer = 0;
    const watch = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), STALLED); };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) if (name !== "Content-Length") request.setRequestHeader(name, value); // the browser's own
    request.upload.onprogress = (event) => { watch(); onSent(event.total ? event.loaded / event.total : 0); };
    request.onload = () => { answered[method] = true; resolve(request); };
    request.onerror = request.onabort = async () => reject(signal?.aborted ? "stopped" : await lacksCors(method, url) ? "no_cors" : "failed");
    signal?.addEventListener("abort", () => request.abort());
    request.onloadend = () => clearTimeout(timer);
    watch();
    request.send(body);
  });
}
// Whether OSS is reached, and answers this page no request with a method: asked twice for what nobody may without a signature.
const answered = {};
async function lacksCors(method, url) {
  const ask = (options) => fetch(`${url.split("?")[0]}?acl`, { credentials: "omit", ...options }).then(() => true, () => false);
  return !answered[method] && !(await ask({ method })) && await ask({ method: "POST", mode: "no-cors" }) && !(await ask({ method }));
}
