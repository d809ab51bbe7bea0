// Which engine the live view of the workbench shows: the requested one, else the one under load, else the
// newest.
import { live } from "./live-socket.js";
import { fillNumbers } from "./live-numbers.js";
import { setText } from "../lib/dom.js";
import { loadScript } from "../lib/load-script.js";
import { recall, remember } from "../lib/storage.js";

const UPLOT = new URL("../../vendor/uplot/uPlot.iife.min.js", import.meta.url);
const EMPTY_TEXT = "Start a model to see it here.";
const ALIVE = new Set(["ready", "degraded", "draining"]),
  ENDED = new Set(["engine.exited", "engine.failed"]),
  STOPPING = new Set(["engine.draining", "engine.stopped"]);

export class WatchedEngine {
  #root;
  #view = null;
  #loading = false;
  #requestedId;
  #id = null;
  #endedId = null;
  #stoppingId = null;

  constructor(root) {
    this.#root = root;
    this.#requestedId =
      new URLSearchParams(location.search).get("watch") ||
      recall("sessionStorage", "watch") ||
      root.dataset.wanted ||
      null;
    for (const empty of root.querySelectorAll("[data-live-charts] [data-plot-empty]"))
      Object.assign(empty, { hidden: false, textContent: EMPTY_TEXT });
    this.#listen();
    live.onFrame((frame) => this.#frame(frame));
    live.onEvent((event) => this.#event(event));
    document.addEventListener("htmx:after:swap", () => this.#markButtons());
  }

  #choose(frame) {
    const alive = Object.entries(frame.engines).filter(([, { state }]) => ALIVE.has(state));
    const has = (id) => alive.some(([each]) => each === id);
    // The last values of an engine that ended stay until another one is requested.
    if (this.#endedId && this.#endedId === this.#id && !has(this.#id)) return this.#endedId;
    if (this.#requestedId && has(this.#requestedId)) return this.#requestedId;
    if (frame.run?.engine && has(frame.run.engine)) return frame.run.engine;
    if (has(this.#id)) return this.#id;
    return alive.sort((a, b) => (a[1].uptime_s ?? 0) - (b[1].uptime_s ?? 0))[0]?.[0] ?? null;
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
    if (engine) this.#root.dataset.model = engine.model;
    else delete this.#root.dataset.model;
    for (const each of this.#root.querySelectorAll("[data-watched-only]")) each.hidden = !id;
    for (const each of this.#root.querySelectorAll("[data-unwatched]")) each.hidden = Boolean(id);
    setText(this.#root.querySelector("[data-watched-id]"), id ?? "");
    this.#root.querySelector("[data-conns-panel]").dataset.numbers = id ?? "";
    this.#view?.watch(id ? [{ id, model: engine.model }] : []);
    this.#showEndText("");
    if (live.frame) fillNumbers(live.frame, this.#root);
    this.#markButtons();
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

  #markButtons() {
    for (const button of document.querySelectorAll("[data-watch]")) {
      const on = button.dataset.watch === this.#id;
      button.setAttribute("aria-pressed", String(on));
      setText(button, on ? "Watching" : "Watch");
    }
    for (const card of document.querySelectorAll("[data-card]"))
      card.toggleAttribute(
        "data-watched",
        Boolean(this.#id) && card.querySelector(`[data-watch="${CSS.escape(this.#id)}"]`) !== null,
      );
  }

  #listen() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-watch]");
      if (!button) return;
      event.preventDefault();
      [this.#requestedId, this.#endedId] = [button.dataset.watch, null];
      remember("sessionStorage", "watch", this.#requestedId);
      if (new URLSearchParams(location.search).has("watch"))
        history.replaceState(null, "", location.pathname);
      if (live.frame) this.#frame(live.frame);
    });
  }
}
