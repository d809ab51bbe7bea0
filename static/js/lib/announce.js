// What a screen reader is told: at most one message every few seconds; what must not be missed waits for
// its turn, the rest gives way.
const INTERVAL_MS = 4000;
let queue = [],
  newest = "",
  spokenAt = -INTERVAL_MS,
  timer = null;

/** Say `text`; `important`: also if something newer comes before its turn. */
export function announce(text, important = false) {
  if (important) queue.push(text);
  else newest = text;
  timer ??= setTimeout(speak, Math.max(0, spokenAt + INTERVAL_MS - performance.now()));
}

function speak() {
  timer = null;
  spokenAt = performance.now();
  const text = [...queue, newest].filter(Boolean).join(" ");
  [queue, newest] = [[], ""];
  for (const place of document.querySelectorAll("[data-live-said]")) place.textContent = text;
}
