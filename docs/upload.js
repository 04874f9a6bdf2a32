// Uploads a file in parts, in parallel, directly to OSS. To resume, keep `upload` as JSON and call this again with it.
export async function uploadFile(service, key, path, file, upload, onProgress = () => {}, parallel = 4, tries = 5) {
  const post = async (route, params) => {
    const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
    const response = await fetch(service + route, { method: "POST", headers, body: JSON.stringify({ path, ...params }) });
    if (!response.ok) throw new Error((await response.json()).detail);
    return response.json();
  };
  const send = (method, link, body, onSent) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, link.url);
    for (const [name, value] of Object.entries(link.headers))
      if (name !== "Content-Length") request.setRequestHeader(name, value); // the browser sets that one itself
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => (request.status === 200 ? resolve(request) : reject(new Error(`OSS answered ${request.status}`)));
    request.onerror = () => reject(new Error("The connection was lost"));
    request.send(body);
  });
  const links = {}; // of the parts, by number
  if (!upload.id) {
    const started = await post("/-/uploads", { size: file.size, part_size: upload.partSize, content_type: file.type || null });
    const partSize = Number(started.parts[0].headers["Content-Length"]);
    Object.assign(upload, { id: started.upload_id, count: started.part_count, partSize, etags: {} });
    for (const part of started.parts) links[part.part_number] = part;
  }
  const newLinks = (from, count) => post(`/-/uploads/${upload.id}/parts`, { from, count });
  let batch = null; // of links that were requested: one request at a time, for a hundred parts
  const linkOf = async (number) => {
    if (!links[number]) await (batch ??= newLinks(number, 100).finally(() => { batch = null; })).then(({ parts }) => {
      for (const part of parts) links[part.part_number] = part;
    });
    return links[number] ??= (await newLinks(number, 1)).parts[0]; // another part's batch may not have it
  };
  const slice = (number) => file.slice((number - 1) * upload.partSize, number * upload.partSize);
  const numbers = Array.from({ length: upload.count }, (_, index) => index + 1), sent = {};
  const report = (number, bytes) => {
    sent[number] = bytes;
    onProgress(Object.values(sent).reduce((sum, value) => sum + value, 0) / (file.size || 1)); // from 0 to 1
  };
  const sendPart = async (number, triesLeft = tries) => {
    try {
      const response = await send("PUT", await linkOf(number), slice(number), (bytes) => report(number, bytes));
      upload.etags[number] = response.getResponseHeader("ETag");
      report(number, slice(number).size);
    } catch (error) {
      if (triesLeft <= 1) throw error;
      delete links[number]; // it may have expired: try again with a new one
      await sendPart(number, triesLeft - 1);
    }
  };
  const queue = numbers.filter((number) => !upload.etags[number] || report(number, slice(number).size));
  const work = async () => { while (queue.length) await sendPart(queue.shift()); };
  const results = await Promise.allSettled(Array.from({ length: parallel }, () => work().finally(() => { queue.length = 0; })));
  for (const result of results) if (result.reason) throw result.reason;
  const parts = numbers.map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${upload.etags[n]}</ETag></Part>`);
  const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
  await send("POST", (await newLinks(1, 1)).complete, body, () => {});
}
