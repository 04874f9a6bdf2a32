// Uploads a file in parts, in parallel, straight into OSS. `upload` is what resumes: keep it as JSON, and call again.
export async function uploadFile(service, key, path, file, upload, onProgress = () => {}, parallel = 4, tries = 5) {
  const ask = async (route, wish) => {
    const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
    const answer = await fetch(service + route, { method: "POST", headers, body: JSON.stringify({ path, ...wish }) });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer.json();
  };
  const send = (method, link, body, onSent) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, link.url);
    for (const [name, value] of Object.entries(link.headers))
      if (name !== "Content-Length") request.setRequestHeader(name, value); // that one is the browser's own
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => (request.status === 200 ? resolve(request) : reject(new Error(`OSS answered ${request.status}`)));
    request.onerror = () => reject(new Error("The connection was lost"));
    request.send(body);
  });
  const links = {}; // of the parts, by number
  if (!upload.id) {
    const begun = await ask("/-/uploads", { size: file.size, part_size: upload.partSize, content_type: file.type || null });
    const partSize = Number(begun.parts[0].headers["Content-Length"]);
    Object.assign(upload, { id: begun.upload_id, count: begun.part_count, partSize, etags: {} });
    for (const part of begun.parts) links[part.part_number] = part;
  }
  const fresh = (from) => ask(`/-/uploads/${upload.id}/parts`, { from, count: 1 });
  const slice = (number) => file.slice((number - 1) * upload.partSize, number * upload.partSize);
  const numbers = Array.from({ length: upload.count }, (_, index) => index + 1), sent = {};
  const tell = (number, bytes) => {
    sent[number] = bytes;
    onProgress(Object.values(sent).reduce((sum, one) => sum + one, 0) / (file.size || 1)); // from 0 to 1
  };
  const sendPart = async (number, left = tries) => {
    try {
      links[number] ??= (await fresh(number)).parts[0];
      const answer = await send("PUT", links[number], slice(number), (bytes) => tell(number, bytes));
      upload.etags[number] = answer.getResponseHeader("ETag");
      tell(number, slice(number).size);
    } catch (error) {
      if (left <= 1) throw error;
      delete links[number]; // it may have ended: try again with a new one
      await sendPart(number, left - 1);
    }
  };
  const waiting = numbers.filter((number) => !upload.etags[number] || tell(number, slice(number).size));
  const work = async () => { while (waiting.length) await sendPart(waiting.shift()); };
  const ends = await Promise.allSettled(Array.from({ length: parallel }, () => work().finally(() => { waiting.length = 0; })));
  for (const end of ends) if (end.reason) throw end.reason;
  const parts = numbers.map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${upload.etags[n]}</ETag></Part>`);
  const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
  await send("POST", (await fresh(1)).complete, body, () => {});
}
