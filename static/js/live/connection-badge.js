// The badge in the header that shows the state of the connection, and the reason if the lab refuses it.
import { setText } from "../lib/dom.js";

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});

/** The longer text where there is room for it. */
function moreText(state, since, shownHz) {
  if (state === "live") return `, ${shownHz} Hz`;
  return state === "offline" ? ` (data from ${since})` : "";
}

function offlineText(refusal, retryInMs) {
  if (refusal) return "Refused";
  const seconds = Math.max(1, Math.ceil(retryInMs / 1000));
  return `Disconnected, ${retryInMs > 0 ? `retrying in ${seconds} s` : "reconnecting"}`;
}

/**
 * `state`: live, stale, offline, paused or waiting. `silentMs`: time since the last message. `shownHz`:
 * frames per second that are shown.
 */
export function showConnection(state, { silentMs, retryInMs, refusal, shownHz }) {
  const since = clock.format(new Date(Date.now() - silentMs));
  const text = {
    live: "Live",
    paused: "Paused",
    waiting: "Connecting",
    stale: `Data is stale (${since})`,
    offline: offlineText(refusal, retryInMs),
  }[state];
  document.body.classList.toggle("is-stale", state === "stale" || state === "offline");
  for (const badge of document.querySelectorAll("[data-live-badge]")) {
    badge.dataset.state = state === "live" || state === "offline" ? state : "stale";
    setText(badge.querySelector("[data-live-text]"), text);
    setText(badge.querySelector("[data-live-more]"), moreText(state, since, shownHz));
  }
  for (const place of document.querySelectorAll("[data-refusal]")) {
    place.hidden = !refusal;
    setText(place, refusal);
  }
}
