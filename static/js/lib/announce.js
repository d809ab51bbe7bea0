// Announcements for screen readers: at most one every few seconds. Important texts are queued, of the
// others only the newest is kept.
const INTERVAL_MS = 4000;
let queue = [],
  newest = "",
  spokenAt = -INTERVAL_MS,
  timer = null;

/** Announce `text`; an important text is announced even if a newer one comes first. */
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
  for (const place of document.querySelectorAll("[data-live-announcement]")) place.textContent = text;
}
