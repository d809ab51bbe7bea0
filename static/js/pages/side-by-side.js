// The side-by-side page: up to five engines with their lanes on one time axis and one series each in the
// charts. Until the user chooses, every engine that starts is added, so that both engines of a hot swap are
// visible.
import { live } from "../live/live-socket.js";
import { LiveView } from "../live/live-view.js";
import { updateLiveNumbers } from "../live/live-numbers.js";

const ENGINES_MAX = 5,
  ALIVE = new Set(["ready", "degraded", "draining"]);

class SideBySide {
  #root;
  #view;
  #choices;
  #chosen;
  #isChosenByUser;
  #shownChoices = "";
  #models = new Map();
  #alive = new Set();

  constructor(root) {
    const asked = new URLSearchParams(location.search).getAll("engine");
    this.#root = root;
    this.#choices = root.querySelector("[data-engine-choices]");
    this.#isChosenByUser = asked.length > 0;
    this.#chosen = new Set(asked.slice(0, ENGINES_MAX));
    this.#view = new LiveView(root, "Start models in the workbench to see them here.");
    this.#choices.addEventListener("change", ({ target }) => this.#choose(target));
    live.onFrame((frame) => this.#frame(frame));
  }

  #frame(frame) {
    const alive = Object.entries(frame.engines).filter(([, { state }]) => ALIVE.has(state));
    const fresh = alive.filter(([id]) => !this.#alive.has(id)).map(([id]) => id);
    for (const [id, { model }] of alive) this.#models.set(id, model);
    this.#alive = new Set(alive.map(([id]) => id));
    if (!this.#isChosenByUser && fresh.length) this.#addNew(fresh);
    const ids = [...new Set([...alive.map(([id]) => id), ...this.#view.ids])],
      choices = `${ids.join()} ${[...this.#chosen].join()}`;
    if (choices !== this.#shownChoices) {
      this.#shownChoices = choices;
      this.#showChoices(ids);
    }
    this.#view.update(frame);
  }

  /** Add engines; ended ones are dropped first. */
  #addNew(fresh) {
    const lives = (id) => this.#alive.has(id),
      all = [...new Set([...this.#chosen, ...fresh])];
    this.#chosen = new Set([...all.filter((id) => !lives(id)), ...all.filter(lives)].slice(-ENGINES_MAX));
  }

  #choose({ value, checked }) {
    this.#isChosenByUser = true;
    if (checked) this.#chosen.add(value);
    else this.#chosen.delete(value);
    const query = new URLSearchParams([...this.#chosen].map((id) => ["engine", id]));
    history.replaceState(null, "", `${location.pathname}?${query}`);
    this.#shownChoices = "";
    if (live.frame) this.#frame(live.frame);
  }

  #showChoices(ids) {
    const focused = document.activeElement?.value,
      chosen = ids.filter((id) => this.#chosen?.has(id));
    this.#choices.replaceChildren(...ids.map((id) => this.#choice(id, chosen)));
    if (focused) this.#choices.querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
    for (const each of this.#root.querySelectorAll("[data-watched-only]")) each.hidden = !chosen.length;
    for (const each of this.#root.querySelectorAll("[data-unwatched]")) each.hidden = chosen.length > 0;
    if (chosen.join() !== this.#view.ids.join())
      this.#view.watch(chosen.map((id) => ({ id, model: this.#models.get(id) })));
  }

  #choice(id, chosen) {
    const label = document.createElement("label"),
      box = document.createElement("input"),
      marker = document.createElement("i");
    Object.assign(box, {
      type: "checkbox",
      value: id,
      checked: chosen.includes(id),
      disabled: !chosen.includes(id) && chosen.length >= ENGINES_MAX,
    });
    marker.className = "marker";
    label.dataset.model = this.#models.get(id);
    label.append(box, marker, id);
    return label;
  }
}

updateLiveNumbers();
new SideBySide(document.querySelector("[data-lab]"));
live.subscribe({ interval_ms: 100 });
