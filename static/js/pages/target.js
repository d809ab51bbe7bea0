// The target of the workbench: the engine or model that Run loads and that the live view shows. It is what
// the user has chosen (a card, an entry of the list, or the card that was started last); without a choice it
// is the engine under load, else the newest one.
import { live } from "../live/live-socket.js";
import { recall, remember } from "../lib/storage.js";

const NEW_PREFIX = "model:",
  PARALLEL_PREFIX = "engines:",
  INTERACTIVE = "a, button, input, select, summary, label, .knob-panel, pre";

/** The model of a target: of an engine such as reactor-1, or of model:reactor. */
const modelOf = (target) =>
  target.startsWith(NEW_PREFIX) ? target.slice(NEW_PREFIX.length) : target.replace(/-\d+$/, "");

export class Target {
  #chosen;
  #seen = null; // the chosen engine, once a frame had it
  #starting = null; // the model whose card was started: its engine becomes the target when it is ready
  #onChange;
  /** `onChange()` is called when the user has chosen another target. */
  constructor(onChange) {
    this.#onChange = onChange;
    const query = new URLSearchParams(location.search);
    // A form that repeats a run has the target of that run.
    this.#chosen = query.has("again")
      ? document.getElementById("f-engine")?.value
      : query.get("target") || recall("sessionStorage", "target");
    live.onEvent((event) => this.#event(event));
    document.addEventListener("htmx:after:swap", () => this.#mark());
    document.addEventListener("htmx:before:request", ({ target }) => {
      if (target.matches?.(".knobs-form")) this.#starting = target.elements.model.value;
    });
    document.addEventListener("change", ({ target }) => {
      if (target.id === "f-engine") this.#choose(target.value);
    });
    document.addEventListener("click", (event) => this.#click(event));
  }

  /**
   * Return the id of the engine to show, null if none, and select it in the list if nothing was chosen.
   * `alive` are the engines of the frame that serve, newest first, as [id, engine]; `shownId` is the one that
   * is shown now.
   */
  engineOf(frame, alive, shownId) {
    const has = (id) => alive.some(([each]) => each === id),
      loaded = has(frame.run?.engine) ? frame.run.engine : null;
    this.#forgetEnded(frame);
    const chosen = this.#chosen;
    if (chosen && has(chosen)) return chosen;
    if (chosen?.startsWith(NEW_PREFIX)) {
      const same = alive.filter(([, { model }]) => model === modelOf(chosen)).map(([id]) => id);
      return same.find((id) => id === loaded) ?? same[0] ?? null;
    }
    const found = loaded ?? (has(shownId) ? shownId : null) ?? alive[0]?.[0] ?? null;
    if (found && !chosen?.startsWith(PARALLEL_PREFIX)) this.#select(found);
    return found;
  }

  /** A chosen engine that has ended leaves its model selected until another engine runs. */
  #forgetEnded({ engines }) {
    const chosen = this.#chosen;
    if (chosen && engines[chosen]) this.#seen = chosen;
    // An engine that has just become ready comes with a later frame.
    if (!chosen || engines[chosen] || this.#seen !== chosen) return;
    this.#chosen = null;
    this.#select(NEW_PREFIX + modelOf(chosen));
  }

  #event({ event, engine }) {
    if (event !== "engine.ready" || modelOf(engine) !== this.#starting) return;
    this.#starting = null;
    this.#choose(engine);
  }

  #click(event) {
    const button = event.target.closest?.("[data-target]"),
      card = event.target.closest?.("[data-card]");
    if (button) event.preventDefault();
    else if (!card || event.target.closest(INTERACTIVE)) return;
    const target = (button ?? card.querySelector("[data-target]"))?.dataset.target;
    if (target) this.#choose(target);
  }

  #choose(target) {
    this.#chosen = target;
    remember("sessionStorage", "target", target);
    if (new URLSearchParams(location.search).has("target")) history.replaceState(null, "", location.pathname);
    this.#mark();
    this.#onChange();
  }

  /** Select an entry of the list, if it is there: it comes with the next refresh of the list. */
  #select(target) {
    const list = document.getElementById("f-engine");
    if (!list || list.value === target) return;
    if (![...list.options].some(({ value }) => value === target)) return;
    list.value = target;
    this.#mark();
  }

  /** Show the target in the list and on the cards. */
  #mark() {
    if (this.#chosen) this.#select(this.#chosen);
    const value = document.getElementById("f-engine")?.value ?? "";
    for (const button of document.querySelectorAll("[data-target]"))
      button.setAttribute("aria-pressed", String(button.dataset.target === value));
    for (const card of document.querySelectorAll("[data-card]"))
      card.toggleAttribute("data-targeted", card.dataset.card === modelOf(value));
    for (const button of document.querySelectorAll("[data-start-target]"))
      if (!value.startsWith(PARALLEL_PREFIX)) button.setAttribute("form", `start-${modelOf(value)}`);
  }
}
