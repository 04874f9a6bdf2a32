// Times in the reader's own zone and notation; the title is still the time in UTC.
const language = document.documentElement.lang.slice(0, 2);
const locale = navigator.languages.find((each) => each.startsWith(language)) || language;
function localize(time) {
  const options = {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  };
  try {
    const local = new Date(time.dateTime).toLocaleString(locale, options);
    time.title = time.textContent;
    time.textContent = local;
  } catch {
    // A language that the browser itself does not know: the time stays in UTC.
  }
}
document.querySelectorAll("time").forEach(localize);
