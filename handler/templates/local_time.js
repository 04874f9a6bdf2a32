// Times in the reader's own zone and notation; the title is still the time in UTC.
const language = document.documentElement.lang.slice(0, 2);
const locale = navigator.languages.find((each) => each.startsWith(language)) || language;
for (const time of document.querySelectorAll("time")) {
  time.title = time.textContent;
  time.textContent = new Date(time.dateTime).toLocaleString(locale, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
}
