// The live view of the home page: which engine is watched, its threads, its connections, its charts.
import { History } from "./history.js";
import { LaneView } from "./lanes.js";
import { live } from "./live.js";
import { LiveCharts } from "./live-charts.js";
import { fill, write } from "./numbers.js";
import * as format from "./format.js";
import { recall, remember } from "./store.js";
import { ThreadTable } from "./threads.js";

const TEXT_MS = 250, STATES = ["idle", "reading", "queued", "handling", "writing"], BAR = ["handling", "writing", "reading", "queued", "idle"];
const NOTHING = "Start a model to see it here.";
const ALIVE = new Set(["ready", "degraded", "draining"]);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Watch {
  #root; #wanted; #id = null; #history = null; #table; #lanes; #charts; #textAt = 0; #drawAt = 0; #find;

  constructor(root) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`[data-${name}]`);
    this.#wanted = new URLSearchParams(location.search).get("watch") || recall("sessionStorage", "watch") || root.dataset.wanted || null;
    this.#table = new ThreadTable(this.#find("thread-rows"), this.#find("folded"));
    this.#lanes = new LaneView(this.#find("lanes"), root.querySelector("th.lane"), this.#find("lane-tip"));
    this.#charts = new LiveCharts(this.#find("live-charts"));
    this.#charts.rest(NOTHING);
    this.#controls();
    live.onFrame((frame) => this.#frame(frame));
    live.onEvent((event) => this.#event(event));
    document.addEventListener("htmx:after:swap", () => this.#mark());
  }

  /** The one asked for, else the one under load, else the newest that is up. */
  #choose(frame) {
    const alive = Object.entries(frame.engines).filter(([, { state }]) => ALIVE.has(state));
    const has = (id) => alive.some(([each]) => each === id);
    if (this.#wanted && has(this.#wanted)) return this.#wanted;
    if (frame.run?.engine && has(frame.run.engine)) return frame.run.engine;
    if (has(this.#id)) return this.#id;
    return alive.sort((a, b) => (a[1].uptime_s ?? 0) - (b[1].uptime_s ?? 0))[0]?.[0] ?? null;
  }

  #frame(frame) {
    const id = this.#choose(frame);
    if (id !== this.#id) this.#turnTo(id, frame.engines[id]);
    if (!id) return;
    const engine = frame.engines[id], now = performance.now();
    if (engine.threads && live.hello) {
      this.#history ??= new History(live.hello.thread_states);
      this.#history.take(frame, engine.threads);
      if (now >= this.#drawAt) {
        this.#drawAt = calm.matches ? now + 1000 : 0;
        this.#table.arrange(this.#history);
        requestAnimationFrame(() => this.#history && this.#lanes.show(this.#history, this.#table.rows));
      }
    }
    this.#charts.take(frame, id, ["closed", ...STATES]);
    if (now < this.#textAt) return;
    this.#textAt = now + TEXT_MS;
    if (this.#history) this.#table.tell(this.#history);
    this.#connections(engine);
    write(this.#find("behind"), this.#lanes.following ? "" : `held, ${this.#lanes.behindS.toFixed(1)} s behind`);
  }

  #turnTo(id, engine) {
    this.#id = id;
    this.#history = null;
    if (engine) this.#root.dataset.model = engine.model;
    else delete this.#root.dataset.model;
    for (const each of this.#root.querySelectorAll("[data-watched-only]")) each.hidden = !id;
    for (const each of this.#root.querySelectorAll("[data-unwatched]")) each.hidden = Boolean(id);
    write(this.#find("watched-id"), id ?? "");
    for (const panel of [this.#find("conns-panel")]) panel.dataset.numbers = id ?? "";
    live.subscribe({ engines: id ? [id] : [], threads: Boolean(id), interval_ms: 100 });
    if (!id) this.#charts.rest(NOTHING);
    if (live.frame) fill(live.frame, this.#root);
    this.#mark();
  }

  #mark() {
    for (const button of document.querySelectorAll("[data-watch]")) {
      const on = button.dataset.watch === this.#id;
      button.setAttribute("aria-pressed", String(on));
      write(button, on ? "Watching" : "Watch");
    }
    for (const card of document.querySelectorAll("[data-card]")) card.toggleAttribute("data-watched", Boolean(this.#id) && card.querySelector(`[data-watch="${CSS.escape(this.#id)}"]`) !== null);
  }

  #connections(engine) {
    const by = Object.fromEntries(STATES.map((state, i) => [state, engine.connections?.[i] ?? 0]));
    const all = Object.values(by).reduce((a, b) => a + b, 0);
    for (const state of STATES) write(this.#root.querySelector(`[data-count="${state}"]`), format.count(by[state]));
    let x = 0;
    for (const state of BAR) {
      const part = this.#root.querySelector(`[data-part="${state}"]`), w = all ? (by[state] / all) * 100 : 0;
      part.setAttribute("x", `${x}%`);
      part.setAttribute("width", `${w}%`);
      x += w;
    }
  }

  #event({ event, engine, run }) {
    if (!this.#history || (engine && engine !== this.#id)) return;
    const label = { "run.warming": "load starts", "run.running": "measuring", "run.finished": "load ends", "run.stopped": "load stopped", "engine.draining": "draining" }[event];
    if (label && (run === null || engine === this.#id || live.frame?.run?.engine === this.#id)) this.#history.mark(label);
  }

  #controls() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-watch]");
      if (!button) return;
      event.preventDefault();
      this.#wanted = button.dataset.watch;
      remember("sessionStorage", "watch", this.#wanted);
      if (new URLSearchParams(location.search).has("watch")) history.replaceState(null, "", location.pathname);
      if (live.frame) this.#frame(live.frame);
    });
    const follow = this.#find("follow");
    follow.addEventListener("click", () => {
      this.#lanes.follow(!this.#lanes.following);
      follow.textContent = this.#lanes.following ? "Pause" : "Follow";
      follow.setAttribute("aria-pressed", String(!this.#lanes.following));
    });
    for (const choice of this.#root.querySelectorAll("[name=window]")) choice.addEventListener("change", () => this.#lanes.zoom(Number(choice.value) * 10));
  }
}
