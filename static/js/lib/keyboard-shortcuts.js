// Keyboard shortcuts: `?` lists them, a switch in the list turns them off. They are ignored while the focus
// is in a text field.
import { live } from "../live/live-socket.js";
import { toast } from "./htmx-feedback.js";
import { recall, remember } from "./storage.js";

const CHORD_MS = 1500,
  TEXT_INPUTS = "input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]";
const click = (element) => {
  element?.click();
  return Boolean(element);
};
const first = (selector) =>
  [...document.querySelectorAll(selector)].find(
    (each) => each.checkVisibility() && !each.matches(":disabled, [aria-disabled=true], [aria-busy=true]"),
  );

/** Start or stop the engine of the focused card, of the target, or of the page. */
function startOrStop() {
  const card =
    document.activeElement?.closest("[data-card]") ?? document.querySelector("[data-card][data-targeted]");
  const button = card ? document.getElementById(`act-${card.dataset.card}`) : first("#act-now");
  const engine = (card ?? document.querySelector("#engine-now"))?.dataset.engine,
    run = live.frame?.run;
  if (engine && run?.engine === engine && button) {
    // a single key must not end a measurement
    button.focus();
    toast(`Run ${run.id} is measuring ${engine}. Press Enter to stop the engine anyway.`);
    return true;
  }
  return click(button);
}

const KEYS = {
  "?": () => document.querySelector("#keys").showModal(),
  s: startOrStop,
  r: () => click(first("#run-button, #load-now")),
  p: () => click(first("[data-follow]")),
  t: () => click(first("[data-theme-toggle]")),
  d: () => click(first("#diagram > summary")),
  e: () => click(first("#log-panel > summary")),
};

function targetCard(number) {
  return click(document.querySelectorAll("[data-card]")[number - 1]?.querySelector("[data-target]"));
}

/** `g` and then the first letter of a page in the navigation. */
function goToPage(letter) {
  return click(
    [...document.querySelectorAll(".nav a")].find((link) =>
      link.textContent.trim().toLowerCase().startsWith(letter),
    ),
  );
}

export function installKeyboardShortcuts() {
  const dialog = document.querySelector("#keys"),
    on = dialog.querySelector("[data-keys-on]");
  on.checked = recall("localStorage", "keys") !== "off";
  on.addEventListener("change", () => remember("localStorage", "keys", on.checked ? null : "off"));
  for (const button of document.querySelectorAll("[data-keys-open]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  let chordUntil = 0;
  document.addEventListener("keydown", (event) => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.repeat ||
      event.defaultPrevented ||
      !on.checked
    )
      return;
    if (event.target.closest?.(TEXT_INPUTS) || document.querySelector("dialog[open]")) return;
    const chord = performance.now() < chordUntil,
      key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    chordUntil = 0;
    if (key === "g" && !chord) chordUntil = performance.now() + CHORD_MS;
    else if (chord ? goToPage(key) : /^[1-9]$/.test(key) ? targetCard(Number(key)) : KEYS[key]?.())
      event.preventDefault();
  });
}
