// The engine that the live view of the workbench shows: the target, or one that failed, until another is
// chosen.
import { live } from "./live-socket.js";
import { fillNumbers } from "./live-numbers.js";
import { setText } from "../lib/dom.js";
import { loadScript } from "../lib/load-script.js";
import { Target } from "../pages/target.js";

const UPLOT = new URL("../../vendor/uplot/uPlot.iife.min.js", import.meta.url);
const EMPTY_TEXT = "Start a model to see it here.";
const ALIVE = new Set(["ready", "degraded", "draining"]),
  ENDED = new Set(["engine.exited", "engine.failed"]),
  STOPPING = new Set(["engine.draining", "engine.stopped"]);

export class WatchedEngine {
  #root;
  #view = null;
  #loading = false;
  #target;
  #id = null;
  #endedId = null;
  #stoppingId = null;

  constructor(root) {
    this.#root = root;
    this.#target = new Target(() => {
      this.#endedId = null;
      if (live.frame) this.#frame(live.frame);
    });
    for (const empty of root.querySelectorAll("[data-live-charts] [data-plot-empty]"))
      Object.assign(empty, { hidden: false, textContent: EMPTY_TEXT });
    live.onFrame((frame) => this.#frame(frame));
    live.onEvent((event) => this.#event(event));
  }

  #choose(frame) {
    const alive = Object.entries(frame.engines)
      .filter(([, { state }]) => ALIVE.has(state))
      .sort((a, b) => (a[1].uptime_s ?? 0) - (b[1].uptime_s ?? 0));
    // The last values of an engine that ended stay until another one is chosen.
    const stays = this.#endedId === this.#id && !alive.some(([id]) => id === this.#id);
    return this.#endedId && stays ? this.#endedId : this.#target.engineOf(frame, alive, this.#id);
  }

  #frame(frame) {
    if (this.#id && !frame.engines[this.#id] && this.#stoppingId !== this.#id && !this.#endedId)
      this.#markEnded(this.#id, "Ended while the lab was unreachable.");
    // An engine of the same name has started.
    else if (this.#endedId && frame.engines[this.#endedId]) this.#markEnded(null, "");
    const id = this.#choose(frame);
    if (id && !this.#view) return this.#load();
    if (id !== this.#id) this.#show(id, frame.engines[id]);
    this.#view?.update(frame);
  }

  /**
   * Load the modules of the live view with the first engine, so that a lab where nothing runs is fast to
   * open.
   */
  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    const found = await loadScript(UPLOT)
      .then(() => import("./live-view.js"))
      .catch(() => null);
    this.#loading = false;
    if (!found) return; // the lab cannot be reached: the next frame tries again
    this.#view = new found.LiveView(this.#root, EMPTY_TEXT);
    if (live.frame) this.#frame(live.frame);
  }

  #show(id, engine) {
    [this.#id, this.#endedId, this.#stoppingId] = [id, null, null];
    if (engine) this.#root.dataset.model = engine.thread_model ?? "";
    else delete this.#root.dataset.model;
    this.#root.toggleAttribute("data-outside-view", Boolean(engine?.server));
    for (const each of this.#root.querySelectorAll(".marker[data-watched-only]"))
      each.toggleAttribute("data-outside", Boolean(engine?.server));
    for (const each of this.#root.querySelectorAll("[data-watched-only]")) each.hidden = !id;
    for (const each of this.#root.querySelectorAll("[data-unwatched]")) each.hidden = Boolean(id);
    setText(this.#root.querySelector("[data-watched-id]"), id ?? "");
    this.#root.querySelector("[data-conns-panel]").dataset.numbers = id ?? "";
    this.#view?.watch(id ? [{ id, model: engine.thread_model ?? "" }] : []);
    this.#showEndText("");
    if (live.frame) fillNumbers(live.frame, this.#root);
  }

  /** An engine that failed stays visible, marked as ended, until another one is ready. */
  #event({ event, engine, text }) {
    if (event === "engine.ready" && this.#endedId && engine !== this.#endedId)
      [this.#endedId, this.#stoppingId] = [null, this.#endedId];
    if (engine !== this.#id) return;
    if (ENDED.has(event)) this.#markEnded(engine, text);
    else if (STOPPING.has(event)) this.#stoppingId = engine;
  }

  #markEnded(id, text) {
    this.#endedId = id;
    this.#showEndText(text);
  }

  #showEndText(text) {
    const place = this.#root.querySelector("[data-watched-end]");
    place.hidden = !text;
    setText(place, text);
  }
}
