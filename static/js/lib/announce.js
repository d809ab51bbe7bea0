// What a screen reader is told: at most one message every few seconds; what must not be missed waits for
// its turn, the rest gives way.
const EVERY_MS = 4000;
let kept = [],
  newest = "",
  spokenAt = -EVERY_MS,
  timer = null;

/** Say `text`; `always`: also if something newer comes before its turn. */
export function announce(text, always = false) {
  if (always) kept.push(text);
  else newest = text;
  timer ??= setTimeout(speak, Math.max(0, spokenAt + EVERY_MS - performance.now()));
}

function speak() {
  timer = null;
  spokenAt = performance.now();
  const text = [...kept, newest].filter(Boolean).join(" ");
  [kept, newest] = [[], ""];
  for (const place of document.querySelectorAll("[data-live-said]")) place.textContent = text;
}
