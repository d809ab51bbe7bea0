// The page of a model: its code, the lanes of its engine, and highlights that link the two.
import "../diagram/diagram.js";
import { LiveEngine } from "../live/live-engine.js";
import { updateLiveNumbers } from "../live/live-numbers.js";

const find = (name) => document.querySelector(`[data-${name}]`);

/**
 * Highlights a state in the code, the legend and the lanes: the one under the pointer, else the one with the
 * focus, else the pressed one.
 */
class CodeHighlight {
  #pressed = null;
  #focused = null;
  #lanes;

  constructor(code, chips, lanes) {
    this.#lanes = lanes;
    code.addEventListener("pointerover", ({ target }) => this.show(this.#statesOf(target)));
    code.addEventListener("focusin", ({ target }) => this.#focus(this.#statesOf(target)));
    code.addEventListener("focusout", () => this.#focus(null));
    code.addEventListener("pointerleave", () => this.show(this.#focused));
    for (const chip of chips) {
      const state = chip.dataset.chip;
      chip.addEventListener("pointerenter", () => this.show([state]));
      chip.addEventListener("pointerleave", () => this.show(this.#focused));
      chip.addEventListener("focus", () => this.#focus([state]));
      chip.addEventListener("blur", () => this.#focus(null));
      chip.addEventListener("click", () => this.#press(state, chips));
    }
  }

  #statesOf(target) {
    const verb = target.closest("[data-verb]")?.dataset.verb,
      line = target.closest(".ln")?.dataset.states;
    return verb ? [verb] : line ? line.split(" ") : null;
  }

  #focus(states) {
    this.#focused = states;
    this.show(states);
  }

  #press(state, chips) {
    this.#pressed = this.#pressed === state ? null : state;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.chip === this.#pressed));
    this.#focused = null; // the click has moved the focus here: the next change is by pointer or keyboard
    this.show(null);
  }

  show(states) {
    const highlighted = new Set(states ?? (this.#pressed ? [this.#pressed] : []));
    if (highlighted.has("handling")) highlighted.add("blocked"); // a blocked handler is still in its handler
    const inCode = highlighted.has("blocked") ? new Set([...highlighted, "handling"]) : highlighted;
    for (const line of document.querySelectorAll(".ln[data-states]"))
      line.toggleAttribute(
        "data-on",
        line.dataset.states.split(" ").some((state) => inCode.has(state)),
      );
    for (const chip of document.querySelectorAll("[data-chip]"))
      chip.toggleAttribute("data-on", highlighted.has(chip.dataset.chip));
    this.#lanes.highlight(highlighted.size ? highlighted : null);
  }
}

/**
 * Roving focus: the code is one tab stop, arrow keys go from line to line, Home and End to the first and
 * last.
 */
function installRovingFocus(code) {
  const links = [...code.querySelectorAll(".ln > a")];
  const only = (link) => {
    for (const each of links) each.tabIndex = each === link ? 0 : -1;
  };
  const chosen = () => links.find((link) => link.hash === location.hash);
  only(chosen() ?? links[0]);
  code.addEventListener("focusin", ({ target }) => {
    if (links.includes(target)) only(target);
  });
  code.addEventListener("keydown", (event) => {
    const at = links.indexOf(event.target),
      to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    links[Math.max(0, Math.min(links.length - 1, to))].focus();
  });
  const focus = () => chosen()?.focus({ preventScroll: true });
  // The jump to an anchor takes the focus away, before this event or with the next frame.
  addEventListener("hashchange", () => {
    focus();
    requestAnimationFrame(() => setTimeout(focus));
  });
}

const now = new LiveEngine();
updateLiveNumbers();
installRovingFocus(find("code"));
new CodeHighlight(find("code"), document.querySelectorAll("[data-chip]"), now);
