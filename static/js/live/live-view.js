// The live view: lanes, connections, charts and costs of some engines on one time axis. The workbench shows
// one engine, the side-by-side page several; `watch` selects them.
import { ConnectionPanel } from "./connection-panel.js";
import { EngineLanes } from "../lanes/engine-lanes.js";
import * as format from "../lib/format.js";
import { CostLedger } from "./cost-ledger.js";
import { live } from "./live-socket.js";
import { syncCursors, LiveCharts } from "../charts/live-charts.js";
import { EventMarks } from "../lanes/event-marks.js";
import { setText } from "../lib/dom.js";
import { isMeasuring } from "./paint-rate.js";
import { autoWindowUs, changesPerS } from "../lanes/auto-window.js";
import { FrameScheduler } from "../lanes/frame-scheduler.js";
import { recall, remember } from "../lib/storage.js";
import { Timeline } from "../lanes/timeline.js";

const HIDDEN_MAX = 3,
  ZOOM = 2;
const SAMPLED_TEXT = "Sampled at 10 Hz";

export class LiveView {
  #root;
  #find;
  #engines = new Map();
  #hidden = new Map();
  #timeline = new Timeline();
  #marks = new EventMarks();
  #charts;
  #ledger;
  #moveCursor;
  #scheduler;

  constructor(root, emptyText) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`[data-${name}]`);
    this.#charts = new LiveCharts(this.#find("live-charts"));
    this.emptyText = emptyText;
    this.#charts.showEmpty(emptyText);
    this.#ledger = new CostLedger(this.#find("ledger"));
    this.#moveCursor = syncCursors(
      () => this.#timeline.head,
      (us) => {
        for (const { lanes } of this.#engines.values()) lanes.showCursorAt(us);
      },
    );
    this.#controls();
    live.onEvent((event) => this.#marks.addEvent(event, this.#timeline.head, this.ids, live.frame?.run));
    this.#scheduler = new FrameScheduler(this.#timeline, () =>
      [...this.#engines.values()].map(({ lanes }) => lanes),
    );
  }

  get ids() {
    return [...this.#engines.keys()];
  }

  /** Show these engines: [{ id, model }]. */
  watch(engines) {
    const wanted = new Map(engines.map((each) => [each.id, each]));
    for (const [id, each] of this.#engines) if (!wanted.has(id)) this.#hide(id, each);
    for (const [id, { model }] of wanted)
      if (!this.#engines.has(id)) this.#engines.set(id, this.#hidden.get(id) ?? this.#create(id, model));
    for (const each of this.#engines.values()) this.#attach(each);
    if (!engines.length) this.#charts.showEmpty(this.emptyText);
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

  update(frame) {
    const now = performance.now(),
      tUs = frame.t_s * 1e6,
      hello = live.hello;
    if (!hello) return;
    this.#ledger.update(frame, tUs);
    let lost = 0;
    for (const [id, each] of this.#engines) {
      const engine = frame.engines[id];
      for (const place of [each.root, each.connections.root]) place.toggleAttribute("data-gone", !engine);
      if (!engine) continue;
      each.last = engine;
      lost = Math.max(lost, each.lanes.update(engine, tUs, hello, frame.legible));
      if (engine.grid)
        each.connections
          .grid(hello)
          .update(engine.grid, tUs, each.lanes.lanes, frame.legible || !isMeasuring());
    }
    const heads = [...this.#engines]
      .filter(([id]) => frame.engines[id]?.threads)
      .map(([, { lanes }]) => lanes.headUs);
    if (this.#timeline.update(heads.length ? Math.min(...heads) : tUs, now)) this.#marks = new EventMarks();
    if (lost > 0) this.#marks.addLostFrames(this.#timeline.head, lost, hello.interval_ms);
    const shown = [...this.#engines].map(([id, { model }]) => ({ id, model }));
    if (shown.length) this.#charts.update(frame, shown, hello, this.#marks.among(this.ids));
    if (!frame.legible) return;
    this.#fitWindow();
    this.#updateText(hello);
    if (isMeasuring()) this.#scheduler.schedule(0);
  }

  /** Give an automatic window the length in which the most can be seen. */
  #fitWindow() {
    const engines = [...this.#engines.values()].map(({ lanes }) => lanes).filter(({ headUs }) => headUs),
      width = engines[0]?.view.width;
    if (!width) return;
    const known = Math.max(...engines.map(({ knownUs }) => knownUs)),
      rate = Math.max(...engines.map(({ lanes }) => changesPerS(lanes)));
    this.#timeline.fit(autoWindowUs(rate, width, known, this.#timeline.span));
  }

  /** Keep the view of an engine that is no longer shown: if it is shown again, its history is still there. */
  #hide(id, each) {
    each.root.remove();
    each.connections.root.remove();
    this.#engines.delete(id);
    this.#hidden.set(id, each);
    if (this.#hidden.size > HIDDEN_MAX) this.#hidden.delete(this.#hidden.keys().next().value);
  }

  #attach({ root, connections, lanes }) {
    if (root.isConnected) return;
    this.#find("engine-lanes").append(root);
    this.#find("engine-grids").append(connections.root);
    lanes.view.attach();
    connections.attach();
  }

  #create(id, model) {
    const [root, connections] = ["lanes-template", "grid-template"].map((name) =>
      this.#find(name).content.firstElementChild.cloneNode(true),
    );
    root.dataset.model = connections.dataset.model = model;
    for (const place of [root, connections]) {
      for (const name of place.querySelectorAll("[data-engine-name]")) name.textContent = id;
      for (const numbers of place.querySelectorAll("[data-numbers]")) numbers.dataset.numbers = id;
    }
    const lanes = new EngineLanes(root, id, {
      timeline: this.#timeline,
      marks: (engine) => this.#marks.of(engine),
      onChange: () => this.#scheduler.schedule(0),
      onCursor: (us, own) => {
        this.#moveCursor(us);
        this.#scheduler.schedule(0);
        for (const each of this.#engines.values()) if (each.lanes !== own) each.lanes.showCursorAt(us);
      },
    });
    return { model, root, lanes, connections: new ConnectionPanel(connections) };
  }

  #updateText(hello) {
    const end = this.#timeline.endAt(performance.now());
    for (const [id, { lanes, connections, last }] of this.#engines) {
      lanes.updateText(end);
      // An engine that has gone keeps its last values.
      if (last) connections.updateText(last, hello);
    }
    setText(
      this.#find("behind"),
      this.#timeline.following ? "" : `Paused, ${(this.#timeline.behindUs / 1e6).toFixed(1)} s behind live`,
    );
    this.#legend();
  }

  /** The time of a pixel, and the reason where lanes are samples instead of a trace. */
  #legend() {
    const engines = [...this.#engines.values()].map(({ lanes }) => lanes),
      width = engines[0]?.view.width;
    if (!width) return;
    const pixel = format.latency(this.#timeline.span / width),
      sampled = engines.filter(({ traced, headUs }) => headUs && !traced);
    const dense = engines.some(({ view }) => view.isDense),
      meaning = dense
        ? "several changes of state in each: utilisation"
        : sampled.length
          ? "fill height = share of time in state"
          : "a request is at least 1 px wide";
    this.#root.toggleAttribute("data-dense", dense);
    const length = format.latency(this.#timeline.span),
      renewed = this.#timeline.isStepped ? ", renewed each second" : "";
    setText(this.#find("pixel"), `Window ${length}${renewed}; 1 px = ${pixel}; ${meaning}.`);
    const why = sampled.map(({ id, root }) => {
      const { tracing } = root.dataset,
        reason = tracing && tracing !== "on" ? `tracing ${tracing}` : "tracing off";
      return `${engines.length > 1 ? `${id}: ` : ""}${SAMPLED_TEXT} (${reason}).`;
    });
    setText(this.#find("sampled"), why.join(" "));
  }

  #controls() {
    const follow = this.#find("follow"),
      windows = [...this.#root.querySelectorAll("[name=window]")],
      timeline = this.#timeline;
    follow.addEventListener("click", () => timeline.follow(!timeline.following));
    for (const choice of windows)
      choice.addEventListener("change", () => {
        if (choice.value === "auto") timeline.chooseAuto();
        else timeline.show(Number(choice.value) * 1e6);
      });
    for (const button of this.#root.querySelectorAll("[data-zoom]"))
      button.addEventListener("click", () => timeline.zoom(button.dataset.zoom === "in" ? 1 / ZOOM : ZOOM));
    timeline.onChange(() => {
      setText(follow, timeline.following ? "Pause" : "Follow");
      follow.setAttribute("aria-pressed", String(!timeline.following));
      for (const choice of windows)
        choice.checked =
          choice.value === "auto"
            ? timeline.auto
            : !timeline.auto && Number(choice.value) * 1e6 === timeline.span;
      for (const { lanes } of this.#engines.values()) lanes.freeze(!timeline.following);
      if (live.hello) this.#updateText(live.hello);
    });
    const more = this.#find("more-charts");
    if (!more) return;
    if (recall("localStorage", "more-charts") === "open") more.open = true;
    // It may have been opened before this script ran.
    else if (more.open) remember("localStorage", "more-charts", "open");
    more.addEventListener("toggle", () => remember("localStorage", "more-charts", more.open ? "open" : null));
  }
}
