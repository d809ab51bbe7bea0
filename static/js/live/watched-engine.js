// The home page: which engine its live view shows. The one asked for, else the one under load, else the
// newest that is up.
import { live } from "./live-socket.js";
import { fill, write } from "./live-numbers.js";
import { recall, remember } from "../lib/storage.js";

const NOTHING = "Start a model to see it here.";
const ALIVE = new Set(["ready", "degraded", "draining"]),
  DEAD = new Set(["engine.exited", "engine.failed"]),
  LEAVING = new Set(["engine.draining", "engine.stopped"]);

export class Watch {
  #root;
  #view = null;
  #loading = false;
  #wanted;
  #id = null;
  #dead = null;
  #left = null;

  constructor(root) {
    this.#root = root;
    this.#wanted =
      new URLSearchParams(location.search).get("watch") ||
      recall("sessionStorage", "watch") ||
      root.dataset.wanted ||
      null;
    for (const empty of root.querySelectorAll("[data-live-charts] [data-plot-empty]"))
      Object.assign(empty, { hidden: false, textContent: NOTHING });
    this.#controls();
    live.onFrame((frame) => this.#frame(frame));
    live.onEvent((event) => this.#event(event));
    document.addEventListener("htmx:after:swap", () => this.#mark());
  }

  #choose(frame) {
    const alive = Object.entries(frame.engines).filter(([, { state }]) => ALIVE.has(state));
    const has = (id) => alive.some(([each]) => each === id);
    // Its last truth stays, until something else is asked for
    if (this.#dead && this.#dead === this.#id && !has(this.#id)) return this.#dead;
    if (this.#wanted && has(this.#wanted)) return this.#wanted;
    if (frame.run?.engine && has(frame.run.engine)) return frame.run.engine;
    if (has(this.#id)) return this.#id;
    return alive.sort((a, b) => (a[1].uptime_s ?? 0) - (b[1].uptime_s ?? 0))[0]?.[0] ?? null;
  }

  #frame(frame) {
    if (this.#id && !frame.engines[this.#id] && this.#left !== this.#id && !this.#dead)
      this.#bury(this.#id, "It ended while the lab was away.");
    else if (this.#dead && frame.engines[this.#dead]) this.#bury(null, ""); // the same name lives again
    const id = this.#choose(frame);
    if (id && !this.#view) return this.#load();
    if (id !== this.#id) this.#turnTo(id, frame.engines[id]);
    this.#view?.take(frame);
  }

  /** What draws engines comes with the first of them: a lab where nothing runs is there at once. */
  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    const found = await import("./live-view.js").catch(() => null);
    this.#loading = false;
    if (!found) return; // the lab is away: the next frame asks again
    this.#view = new found.LiveView(this.#root, NOTHING);
    if (live.frame) this.#frame(live.frame);
  }

  #turnTo(id, engine) {
    [this.#id, this.#dead, this.#left] = [id, null, null];
    if (engine) this.#root.dataset.model = engine.model;
    else delete this.#root.dataset.model;
    for (const each of this.#root.querySelectorAll("[data-watched-only]")) each.hidden = !id;
    for (const each of this.#root.querySelectorAll("[data-unwatched]")) each.hidden = Boolean(id);
    write(this.#root.querySelector("[data-watched-id]"), id ?? "");
    this.#root.querySelector("[data-conns-panel]").dataset.numbers = id ?? "";
    this.#view?.watch(id ? [{ id, model: engine.model }] : []);
    this.#say("");
    if (live.frame) fill(live.frame, this.#root);
    this.#mark();
  }

  /** One that died unasked is kept in sight, and said to be dead; a new one takes its place. */
  #event({ event, engine, text }) {
    if (event === "engine.ready" && this.#dead && engine !== this.#dead)
      [this.#dead, this.#left] = [null, this.#dead];
    if (engine !== this.#id) return;
    if (DEAD.has(event)) this.#bury(engine, text);
    else if (LEAVING.has(event)) this.#left = engine;
  }

  #bury(id, text) {
    this.#dead = id;
    this.#say(text);
  }

  #say(text) {
    const place = this.#root.querySelector("[data-watched-end]");
    place.hidden = !text;
    write(place, text);
  }

  #mark() {
    for (const button of document.querySelectorAll("[data-watch]")) {
      const on = button.dataset.watch === this.#id;
      button.setAttribute("aria-pressed", String(on));
      write(button, on ? "Watching" : "Watch");
    }
    for (const card of document.querySelectorAll("[data-card]"))
      card.toggleAttribute(
        "data-watched",
        Boolean(this.#id) && card.querySelector(`[data-watch="${CSS.escape(this.#id)}"]`) !== null,
      );
  }

  #controls() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-watch]");
      if (!button) return;
      event.preventDefault();
      [this.#wanted, this.#dead] = [button.dataset.watch, null];
      remember("sessionStorage", "watch", this.#wanted);
      if (new URLSearchParams(location.search).has("watch"))
        history.replaceState(null, "", location.pathname);
      if (live.frame) this.#frame(live.frame);
    });
  }
}
