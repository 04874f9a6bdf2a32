// A list of files. The row of each ends as sent, as stopped, or with the reason why it was not sent. A page has `words`, and
//   chosen(item)                what happens to a file that was chosen or dropped: it starts, or waits with the outcome null
//   sendItem(item, onProgress)  throws an outcome, which is a word, or {outcome, sentence} of the service
//   weight(item)                how much of three it takes to send a file: as many are sent at a time
//   isFinal(outcome)            whether another try is useless
//   isUnsaved()                 whether leaving the page loses more than what is being sent.
const [list, result, total, drop, files, notes] = ["list", "result", "total", "drop", "files", "notes"].map((id) => document.getElementById(id));
const kept = (() => { try { return sessionStorage; } catch { return {}; } })();
const items = [], queue = [];
let active = 0;
// `path` is that of a file in a folder that was dropped, from this folder on.
function add(file, path = file.name) {
  const row = put(list, "li"), name = put(row, "div", path), bar = put(row, "progress"), state = put(row, "div", "", "state"), button = put(row, "button");
  bar.max = 1; bar.setAttribute("aria-label", name.textContent);
  const key = `${path}\n${file.size}\n${file.lastModified}`, isFirst = !items.some((item) => item.key === key);
  const item = { file, name: path, row, bar, state, button, key, isFirst, outcome: null, sent: 0 };
  items.push(item); chosen(item);
}
// Adds every file in a folder, however deep; returns what is left out, because it is hidden or empty.
async function addFolder(folder, path) {
  const reader = folder.createReader(), entries = [], leftOut = [], unreadable = (name) => ({ name, size: 0 });
  const read = (from, what) => new Promise((resolve, reject) => from[what](resolve, reject));
  try { for (let some; (some = await read(reader, "readEntries")).length;) entries.push(...some); } catch { add(unreadable(folder.name), path); return []; }
  for (const each of entries) {
    const below = `${path}/${each.name}`;
    if (each.name.startsWith(".")) leftOut.push(below);
    else if (each.isDirectory) leftOut.push(...await addFolder(each, below));
    else add(await read(each, "file").catch(() => unreadable(each.name)), below);
  }
  return entries.length ? leftOut : [`${path}/`];
}
const isReadable = async (file) => { try { await file.slice(0, 1).arrayBuffer(); return true; } catch { return false; } };
const sizeOf = (size, unit = 0) => size < 1024 || unit > 3 ? `${Number(size.toFixed(1))} ${["B", "KB", "MB", "GB", "TB"][unit]}` : sizeOf(size / 1024, unit + 1);
// Whatever anybody wrote is text, with "_" for what nobody sees.
const plain = (text) => String(text).replace(/[{{ unseen }}\u{e0000}-\u{e0fff}]|^\s+$/gu, "_");
function put(parent, tag, text = "", className = "") {
  return Object.assign(parent.appendChild(document.createElement(tag)), { textContent: plain(text), className });
}
function offer(button, word, name, act) {
  Object.assign(button, { textContent: words[word], onclick: act }).setAttribute("aria-label", plain(`${words[word]}: ${name}`));
}
function start(item) {
  item.outcome = ""; item.stop = new AbortController(); item.bar.value = 0; item.state.textContent = words.waiting;
  delete item.row.dataset.outcome;
  offer(item.button, "stop", item.name, () => {
    item.stop.abort();
    if (queue.includes(item)) { queue.splice(queue.indexOf(item), 1); finish(item, "stopped"); }
  });
  queue.push(item); sendNext();
}
function sendNext() {
  while (queue.length && active + weight(queue[0]) <= 3) {
    const item = queue.shift(), taken = weight(item), { signal } = item.stop, onProgress = (bytes) => signal.aborted || show(item, bytes);
    active += taken; result.textContent = "";
    show(item, 0);
    const stopped = new Promise((_, reject) => { signal.onabort = () => reject("stopped"); });
    const sent = isReadable(item.file).then((isFine) => isFine ? sendWhenOnline(item, onProgress) : Promise.reject("unreadable"));
    Promise.race([sent, stopped]).then(() => ["sent"], async (reason) => {
      if (reason === "failed" && !await isReadable(item.file)) return ["unreadable"];
      return typeof reason === "string" ? [reason] : [reason.outcome ?? "failed", reason.sentence];
    }).then((end) => { active -= taken; finish(item, ...end); sendNext(); });
  }
}
// What fails while the browser is offline waits, and the queue with it.
async function sendWhenOnline(item, onProgress) {
  try { return await sendItem(item, onProgress); } catch (reason) { if (reason !== "failed" || navigator.onLine) throw reason; }
  onProgress(0);
  await new Promise((resolve) => addEventListener("online", resolve, { once: true }));
  return item.stop.signal.aborted ? undefined : sendWhenOnline(item, onProgress);
}
function show(item, bytes) {
  item.sent = bytes;
  const percent = (part, all) => `${Math.floor(100 * (all ? part / all : 0))} %`, sum = (values) => values.reduce((one, other) => one + other, 0);
  if (!item.outcome) { item.bar.value = item.file.size ? bytes / item.file.size : 0; item.state.textContent = navigator.onLine ? `${words.sending} ${percent(bytes, item.file.size)}` : words.offline; }
  // What is refused for good never comes.
  const started = items.filter(({ outcome }) => outcome !== null), coming = started.filter(({ outcome }) => !outcome || outcome === "sent" || !isFinal(outcome));
  const sent = sum(coming.map((each) => each.sent)), size = sum(coming.map((each) => each.file.size));
  total.hidden = started.length < 2;
  total.firstElementChild.textContent = `${words.all_files}: ${percent(sent, size)}`;
  total.lastElementChild.value = size ? sent / size : 0;
}
function finish(item, outcome, sentence) {
  item.outcome = item.row.dataset.outcome = outcome;
  item.state.textContent = (sentence ?? words[outcome]).replace("{origin}", location.origin);
  item.bar.value = outcome === "sent" ? 1 : 0;
  show(item, outcome === "sent" ? item.file.size : 0);
  item.button.hidden = isFinal(outcome);
  offer(item.button, "retry", item.name, () => start(item));
  const ends = items.map((each) => each.outcome).filter((each) => each !== null);
  if (!ends.includes("")) result.textContent = ends.every((each) => each === "sent") ? words.done : words.partly;
}
for (const change of ["offline", "online"]) {
  addEventListener(change, () => items.filter((item) => item.outcome === "" && !queue.includes(item)).forEach((item) => show(item, item.sent)));
}
addEventListener("online", () => items.filter(({ outcome }) => outcome === "failed").forEach(start));
addEventListener("beforeunload", (event) => { if (items.some((item) => item.outcome === "") || isUnsaved()) event.preventDefault(); });
drop.hidden = false;
files.onchange = () => { [...files.files].forEach((file) => add(file)); files.value = ""; };
drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = async (event) => {
  event.preventDefault(); drop.classList.remove("over");
  // All of it at once: the event has nothing any more after the first await. A folder is a file, too, which cannot be read.
  const dropped = [...event.dataTransfer.items].filter(({ kind }) => kind === "file").map((each) => [each.webkitGetAsEntry?.(), each.getAsFile()]), leftOut = [];
  for (const [entry, file] of dropped) entry?.isDirectory ? leftOut.push(...await addFolder(entry, entry.name)) : add(file);
  const names = `${words.left_out} (${leftOut.length}): ${leftOut.slice(0, 10).join(", ")}${leftOut.length > 10 ? ", …" : ""}`;
  notes.textContent = plain([dropped.some(([entry]) => entry?.isDirectory) && words.folders, leftOut.length && names].filter(Boolean).join(" "));
};
