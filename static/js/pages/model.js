// The page of a model: its code, its engine's lanes, and the light between the two.
import "../diagram/diagram.js";
import { EngineLanes } from "../lanes/engine-lanes.js";
import { live } from "../live/live-socket.js";
import { fill, keepNumbers } from "../live/live-numbers.js";
import { Stage } from "../lanes/frame-scheduler.js";
import { Timeline } from "../lanes/timeline.js";

const find = (name) => document.querySelector(`[data-${name}]`);
const TEXT_MS = 250,
  WINDOW_US = 10e6; // ten seconds stand beside the code

/** What is pointed at, or else what was pressed, is lit: in the code, in the legend, in the lanes. */
class Light {
  #pressed = null;
  #lanes;

  constructor(code, chips, lanes) {
    this.#lanes = lanes;
    for (const type of ["pointerover", "focusin"])
      code.addEventListener(type, ({ target }) => this.#code(target));
    for (const type of ["pointerleave", "focusout"]) code.addEventListener(type, () => this.show(null));
    for (const chip of chips) {
      const state = chip.dataset.chip;
      for (const type of ["pointerenter", "focus"]) chip.addEventListener(type, () => this.show([state]));
      for (const type of ["pointerleave", "blur"]) chip.addEventListener(type, () => this.show(null));
      chip.addEventListener("click", () => this.#press(state, chips));
    }
  }

  #code(target) {
    const verb = target.closest("[data-verb]")?.dataset.verb,
      line = target.closest(".ln")?.dataset.states;
    this.show(verb ? [verb] : line ? line.split(" ") : null);
  }

  #press(state, chips) {
    this.#pressed = this.#pressed === state ? null : state;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.chip === this.#pressed));
    this.show(null);
  }

  show(states) {
    const lit = new Set(states ?? (this.#pressed ? [this.#pressed] : []));
    if (lit.has("handling")) lit.add("blocked"); // a handler that waits is still the handler
    const inCode = lit.has("blocked") ? new Set([...lit, "handling"]) : lit;
    for (const line of document.querySelectorAll(".ln[data-states]"))
      line.toggleAttribute(
        "data-on",
        line.dataset.states.split(" ").some((state) => inCode.has(state)),
      );
    for (const chip of document.querySelectorAll("[data-chip]"))
      chip.toggleAttribute("data-on", lit.has(chip.dataset.chip));
    this.#lanes.light(lit.size ? lit : null);
  }
}

/**
 * One stop for Tab in the whole of the code: arrows go from line to line, Home and End to the first and
 * last.
 */
function rove(code) {
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
  // The browser's jump takes the focus away: before this event, or with the next frame.
  addEventListener("hashchange", () => {
    focus();
    requestAnimationFrame(() => setTimeout(focus));
  });
}

class Now {
  #id = null;
  #timeline = new Timeline();
  #lanes = null;
  #textAt = 0;
  #lit = null;
  #stage;

  constructor() {
    this.#timeline.show(WINDOW_US);
    this.#stage = new Stage(this.#timeline, () => (this.#lanes ? [this.#lanes] : []));
    this.#timeline.onChange(() => this.#lanes?.hold(!this.#timeline.following));
    live.onFrame((frame) => this.#frame(frame));
    document.addEventListener("htmx:after:swap", () => this.#turn());
    this.#turn();
  }

  light(states) {
    this.#lit = states;
    this.#lanes?.view.light(states);
  }

  #turn() {
    const id = find("engine").dataset.engine || null;
    if (id !== this.#id) this.#lanes = null;
    this.#id = id;
    if (!id) find("moving").hidden = true;
    live.subscribe({ engines: id ? [id] : [], threads: Boolean(id), trace: Boolean(id), interval_ms: 100 });
    if (live.frame) fill(live.frame);
  }

  #frame(frame) {
    const engine = frame.engines[this.#id],
      now = performance.now();
    if (!engine?.threads || !live.hello) return;
    if (!this.#lanes) this.#make();
    this.#lanes.take(engine, frame.t_s * 1e6, live.hello, frame.legible);
    this.#timeline.take(this.#lanes.headUs, now);
    if (now < this.#textAt) return;
    this.#textAt = now + TEXT_MS;
    this.#lanes.write(this.#timeline.endAt(now));
  }

  #make() {
    const root = find("lanes-template").content.firstElementChild.cloneNode(true);
    find("moving").replaceChildren(root);
    find("moving").hidden = false;
    this.#lanes = new EngineLanes(root, this.#id, {
      timeline: this.#timeline,
      marks: () => [],
      pointed: () => {},
      changed: () => this.#stage.next(0),
    });
    this.#lanes.view.attach();
    this.#lanes.view.light(this.#lit);
  }
}

const now = new Now();
keepNumbers();
rove(find("code"));
new Light(find("code"), document.querySelectorAll("[data-chip]"), now);
