// Times in the reader's own zone and notation; the title is still the time in UTC.
const language = document.documentElement.lang.slice(0, 2);
const locale = navigator.languages.find((each) => each.startsWith(language)) || language;
function localize(time) {
  const options = {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
  };
  try {
    const date = new Date(time.dateTime), local = date.toLocaleString(locale, options);
    // Chinese has the zone of a time at its beginning, where nobody writes it.
    const parts = new Intl.DateTimeFormat(locale, { timeZoneName: "short" }).formatToParts(date);
    const zone = parts.find((part) => part.type === "timeZoneName").value;
    time.title = time.textContent;
    time.textContent = `${local}${language === "zh" ? ", " : " "}${zone}`;
  } catch {
    // A language that the browser itself does not know: the time stays in UTC.
  }
}
document.querySelectorAll("time").forEach(localize);
