// Shows times in the time zone of the browser; the server writes them in UTC.
const text = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

export function showLocalTimes() {
  const write = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.textContent;
      time.textContent = text.format(new Date(time.dateTime));
    }
  };
  document.addEventListener("htmx:after:swap", write);
  write();
}
