// The excerpts of two traced runs, and what their picture says in words.
import { ROOT_PATH } from "../lib/dom.js";

export async function loadJson(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return response.json();
}

/** Load the excerpts at these paths of the API; all get the window of the first one. */
export async function loadExcerpts([first, ...others]) {
  const excerpt = await loadJson(ROOT_PATH + first);
  const rest = others.map((url) => loadJson(`${ROOT_PATH}${url}?window_us=${excerpt.window_us}`));
  return [excerpt, ...(await Promise.all(rest))];
}

/** The slow span of an excerpt, and the index of its thread; null if there is none. */
export function slowSpan({ threads, slow_us }) {
  if (slow_us === null) return null;
  for (const [row, { spans }] of threads.entries()) {
    const span = spans.find(({ slow, from_us }) => slow && from_us === slow_us);
    if (span) return { ...span, row };
  }
  return null;
}

/** How many requests are without an answer at a time, besides a slow one that is being handled. */
export function waitingAt(excerpt, us) {
  const slow = slowSpan(excerpt),
    handled = slow && slow.from_us <= us && us < slow.to_us ? 1 : 0;
  const sent = excerpt.requests.filter(({ sent_us, answered_us }) => sent_us <= us && answered_us > us);
  return Math.max(0, sent.length - handled);
}

/** One sentence on an excerpt, for screen readers. */
export function describe(excerpt) {
  const slow = slowSpan(excerpt),
    ms = (us) => `${+(us / 1000).toFixed(1)} ms`,
    threads = `${excerpt.threads_total} thread${excerpt.threads_total === 1 ? "" : "s"}`;
  const about = slow
    ? `${excerpt.threads[slow.row].name} is in a slow handler for ${ms(slow.to_us - slow.from_us)}; ` +
      `${waitingAt(excerpt, slow.to_us - 1)} other requests wait at its end`
    : `${excerpt.requests.length} requests`;
  return `${excerpt.title}, ${threads}, ${ms(excerpt.window_us)}: ${about}.`;
}
