// What some engines are doing now: their lanes under one axis of time, their connections, charts and costs.
// The home page shows one engine, the page side by side several; which ones, and when, is said by `watch`.
import { ConnectionGrid } from "./connection-grid.js";
import { EngineLanes } from "../lanes/engine-lanes.js";
import * as format from "../lib/format.js";
import { Ledger } from "./cost-ledger.js";
import { live } from "./live-socket.js";
import { joinCursors, LiveCharts } from "../charts/live-charts.js";
import { Marks } from "../lanes/event-marks.js";
import { write } from "./live-numbers.js";
import { isQuiet } from "./paint-rate.js";
import { Stage } from "../lanes/frame-scheduler.js";
import { recall, remember } from "../lib/storage.js";
import { Timeline } from "../lanes/timeline.js";

const ASLEEP_MOST = 3,
  ZOOM = 2;
const MANY_UNREAD = 0.25; // of the connections: below that they may as well be answers on their way
const SAMPLED = "Lanes are samples here, ten a second, not a trace";

export class LiveView {
  #root;
  #find;
  #engines = new Map();
  #asleep = new Map();
  #timeline = new Timeline();
  #marks = new Marks();
  #charts;
  #ledger;
  #point;
  #stage;
  #run = null;

  constructor(root, nothing) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`[data-${name}]`);
    this.#charts = new LiveCharts(this.#find("live-charts"));
    this.nothing = nothing;
    this.#charts.rest(nothing);
    this.#ledger = new Ledger(this.#find("ledger"));
    this.#point = joinCursors(
      () => this.#timeline.head,
      (us) => {
        for (const { lanes } of this.#engines.values()) lanes.mark(us);
      },
    );
    this.#controls();
    live.onEvent((event) => this.#marks.heed(event, this.#timeline.head, this.ids, live.frame?.run));
    this.#stage = new Stage(this.#timeline, () => [...this.#engines.values()].map(({ lanes }) => lanes));
  }

  get ids() {
    return [...this.#engines.keys()];
  }

  /** Show these engines: [{ id, model }]. */
  watch(engines) {
    const wanted = new Map(engines.map((each) => [each.id, each]));
    for (const [id, each] of this.#engines) if (!wanted.has(id)) this.#rest(id, each);
    for (const [id, { model }] of wanted)
      if (!this.#engines.has(id)) this.#engines.set(id, this.#asleep.get(id) ?? this.#make(id, model));
    for (const each of this.#engines.values()) this.#place(each);
    if (!engines.length) this.#charts.rest(this.nothing);
    if (engines.length) this.#root.dataset.watching = String(engines.length);
    else delete this.#root.dataset.watching;
    live.subscribe({
      engines: this.ids,
      threads: engines.length > 0,
      trace: engines.length > 0,
      connections: engines.length > 0,
      interval_ms: 100,
    });
  }

  take(frame) {
    const now = performance.now(),
      tUs = frame.t_s * 1e6,
      hello = live.hello;
    if (!hello) return;
    this.#run = frame.run;
    this.#ledger.take(frame, tUs);
    let lost = 0;
    for (const [id, each] of this.#engines) {
      const engine = frame.engines[id];
      for (const place of [each.root, each.crowd.root]) place.toggleAttribute("data-gone", !engine);
      if (!engine) continue;
      each.last = engine;
      lost = Math.max(lost, each.lanes.take(engine, tUs, hello, frame.legible));
      if (engine.grid)
        each.crowd.grid(hello).take(engine.grid, tUs, each.lanes.lanes, frame.legible || !isQuiet());
    }
    const heads = [...this.#engines]
      .filter(([id]) => frame.engines[id]?.threads)
      .map(([, { lanes }]) => lanes.headUs);
    if (this.#timeline.take(heads.length ? Math.min(...heads) : tUs, now)) this.#marks = new Marks();
    if (lost > 0) this.#marks.lost(this.#timeline.head, lost, hello.interval_ms);
    const shown = [...this.#engines].map(([id, { model }]) => ({ id, model }));
    if (shown.length) this.#charts.take(frame, shown, hello, this.#marks.among(this.ids));
    if (!frame.legible) return;
    this.#write(hello);
    if (isQuiet()) this.#stage.next(0);
  }

  /**
   * What is not shown now is kept for a while: an engine of the same name after a restart of the lab goes
   * on where it ended.
   */
  #rest(id, each) {
    each.root.remove();
    each.crowd.root.remove();
    this.#engines.delete(id);
    this.#asleep.set(id, each);
    if (this.#asleep.size > ASLEEP_MOST) this.#asleep.delete(this.#asleep.keys().next().value);
  }

  #place({ root, crowd, lanes }) {
    if (root.isConnected) return;
    this.#find("engine-lanes").append(root);
    this.#find("engine-grids").append(crowd.root);
    lanes.view.attach();
    crowd.attach();
  }

  #make(id, model) {
    const [root, crowd] = ["lanes-template", "grid-template"].map((name) =>
      this.#find(name).content.firstElementChild.cloneNode(true),
    );
    root.dataset.model = crowd.dataset.model = model;
    for (const place of [root, crowd]) {
      for (const name of place.querySelectorAll("[data-engine-name]")) name.textContent = id;
      for (const numbers of place.querySelectorAll("[data-numbers]")) numbers.dataset.numbers = id;
    }
    const lanes = new EngineLanes(root, id, {
      timeline: this.#timeline,
      marks: (engine) => this.#marks.of(engine),
      changed: () => this.#stage.next(0),
      pointed: (us, own) => {
        this.#point(us);
        this.#stage.next(0);
        for (const each of this.#engines.values()) if (each.lanes !== own) each.lanes.mark(us);
      },
    });
    return { model, root, lanes, crowd: new CrowdPanel(crowd) };
  }

  #write(hello) {
    const end = this.#timeline.endAt(performance.now());
    for (const [id, { lanes, crowd, last }] of this.#engines) {
      lanes.write(end);
      // Of one that has gone its last truth
      if (last) crowd.write(last, hello, this.#run?.engine === id ? this.#run : null);
    }
    write(
      this.#find("behind"),
      this.#timeline.following ? "" : `held, ${(this.#timeline.behindUs / 1e6).toFixed(1)} s behind`,
    );
    this.#legend();
  }

  /** What a pixel means now, and why lanes are only samples where they are. */
  #legend() {
    const engines = [...this.#engines.values()].map(({ lanes }) => lanes),
      width = engines[0]?.view.width;
    if (!width) return;
    const pixel = format.latency(this.#timeline.span / width),
      sampled = engines.filter(({ traced, headUs }) => headUs && !traced);
    write(
      this.#find("pixel"),
      `A pixel is ${pixel}: as far as it is filled, so much of that time was spent in a state.`,
    );
    const why = sampled.map(({ id, root }) => {
      const said = root.dataset.tracing;
      return `${engines.length > 1 ? `${id}: ` : ""}${SAMPLED}${said && said !== "on" ? ` (${said})` : ""}.`;
    });
    write(this.#find("sampled"), why.join(" "));
  }

  #controls() {
    const follow = this.#find("follow"),
      windows = [...this.#root.querySelectorAll("[name=window]")],
      timeline = this.#timeline;
    follow.addEventListener("click", () => timeline.follow(!timeline.following));
    for (const choice of windows)
      choice.addEventListener("change", () => timeline.show(Number(choice.value) * 1e6));
    for (const button of this.#root.querySelectorAll("[data-zoom]"))
      button.addEventListener("click", () => timeline.zoom(button.dataset.zoom === "in" ? 1 / ZOOM : ZOOM));
    timeline.onChange(() => {
      write(follow, timeline.following ? "Pause" : "Follow");
      follow.setAttribute("aria-pressed", String(!timeline.following));
      for (const choice of windows) choice.checked = Number(choice.value) * 1e6 === timeline.span;
      for (const { lanes } of this.#engines.values()) lanes.hold(!timeline.following);
      if (live.hello) this.#write(live.hello);
    });
    const more = this.#find("more-charts");
    if (!more) return;
    if (recall("localStorage", "more-charts") === "open") more.open = true;
    else if (more.open) remember("localStorage", "more-charts", "open"); // opened before this was there
    more.addEventListener("toggle", () => remember("localStorage", "more-charts", more.open ? "open" : null));
  }
}

/** The connections of one engine: the grid, the numbers by state beside it, and the same as a table. */
class CrowdPanel {
  #grid = null;
  #tableAt = 0;

  constructor(root) {
    this.root = root;
  }

  attach() {
    this.#grid?.attach();
  }

  grid({ connection_states: states }) {
    this.#grid ??= new ConnectionGrid(
      this.root.querySelector("[data-grid]"),
      this.root.querySelector("[data-grid-tip]"),
      states,
    );
    return this.#grid;
  }

  /** `run` is the load on this engine, if there is one. */
  write(engine, { connection_states: states }, run) {
    const sampled = Object.fromEntries(
      states.slice(1).map((name, i) => [name, engine.connections?.[i] ?? null]),
    );
    const by = this.#grid ? this.#grid.totals : { ...sampled, recent: null };
    for (const cell of this.root.querySelectorAll("[data-count]"))
      write(cell, format.count(by[cell.dataset.count] ?? null));
    this.#unread(by, run);
    if (!this.#grid) return;
    for (const place of this.root.closest("[data-conns-panel]")?.querySelectorAll("[data-conns-open]") ?? [])
      write(place, format.count(this.#grid.size));
    const canvas = this.root.querySelector("[data-grid]"),
      details = this.root.querySelector(".as-table");
    canvas.dataset.dots = String(this.#grid.size);
    if (details.open && performance.now() > this.#tableAt)
      this.#table(states.slice(1), details.querySelector("tbody"));
  }

  /**
   * A request that the engine has not read yet leaves its connection idle to the engine, and in flight to
   * the client.
   */
  #unread(by, run) {
    const place = this.root.querySelector("[data-unread]"),
      busy = by.reading + by.queued + by.handling + by.writing;
    const unread = run && this.#grid ? Math.min(run.in_flight - busy, by.idle + (by.recent ?? 0)) : 0;
    place.hidden = !unread || unread <= this.#grid.size * MANY_UNREAD;
    if (!place.hidden)
      write(
        place,
        `${format.count(unread)} of the idle ones have a request in their socket buffer, ` +
          "which the engine has not read yet.",
      );
  }

  #table(states, body) {
    this.#tableAt = performance.now() + 1000;
    body.replaceChildren(
      ...this.#grid.groups.map((group) => {
        const row = document.createElement("tr"),
          name = document.createElement("th"),
          by = this.#grid.counts(group);
        Object.assign(name, { scope: "row", textContent: group.name });
        row.append(
          name,
          ...states.map((state) =>
            Object.assign(document.createElement("td"), {
              className: "num",
              textContent: format.count(by[state]),
            }),
          ),
        );
        return row;
      }),
    );
  }
}
