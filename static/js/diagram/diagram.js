// The model of the watched engine as a diagram: every box is a thread, every number comes from its frames.
import { live } from "../live/live-socket.js";
import { isMeasuring } from "../live/paint-rate.js";
import { ROOT_PATH, setText } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { createEdges } from "./edges.js";
import { FlowDots } from "./flow-dots.js";
import { BOXES_MAX, layOut, shapeFor } from "./layout.js";
import { createNode, updateNode } from "./node-view.js";
import { hatchDefinition, svgElement } from "./svg.js";
import { smoothed, ThreadActivity } from "./thread-activity.js";

const TEXT_INTERVAL_MS = 400,
  REDUCED_FACTOR = 2.5, // with reduced motion the text changes less often
  RATE_MIN_PER_S = 0.05;
const SATURATED_MIN = 0.9,
  SATURATED_END = 0.85; // hysteresis: below SATURATED_MIN, so that the label does not flicker
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

class Diagram {
  #root;
  #place;
  #summary;
  #still;
  #id = null;
  #shape = null;
  #builtFor = "";
  #threads = new Map();
  #views = [];
  #edges = [];
  #dots = null;
  #knobs = {};
  #nextTextMs = 0;
  #accepted = null;
  #arrivalsPerS = null;
  #saturated = new Set();
  #visible = true;

  constructor(root) {
    this.#root = root;
    this.#place = root.querySelector("[data-diagram]");
    this.#summary = root.querySelector("[data-diagram-summary]");
    this.#still = root.closest("[data-diagram-place]")?.querySelector("[data-diagram-still]");
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#visible = isIntersecting;
    }).observe(root);
    live.onFrame((frame) => this.#frame(frame));
  }

  /** The id of the engine whose threads this page has subscribed to. */
  #watchedId(frame) {
    const subscribed = Object.keys(frame.engines).filter((id) => frame.engines[id].threads);
    const named = document.querySelector("[data-watched-id]")?.textContent;
    return subscribed.includes(named) ? named : (subscribed[0] ?? null);
  }

  #frame(frame) {
    const id = this.#watchedId(frame),
      engine = frame.engines[id];
    if (id !== this.#id) this.#show(id, engine);
    if (!engine || !live.hello) return;
    const seen = new Set(),
      name = (state) => live.hello.thread_states[state];
    for (const row of engine.threads) {
      if (name(row[5]) === "ended") continue;
      const key = `${row[0]}:${row[1]}`;
      seen.add(key);
      if (!this.#threads.has(key)) this.#threads.set(key, new ThreadActivity());
      this.#threads.get(key).update(row, name);
    }
    for (const key of this.#threads.keys()) if (!seen.has(key)) this.#threads.delete(key);
    this.#countArrivals(frame, engine);
    if (!this.#visible || this.#root.open === false || !this.#threads.size) return this.#dots?.stop();
    this.#build(engine.model);
    if (isMeasuring() && !frame.legible) return;
    this.#flow(engine);
    if (performance.now() < this.#nextTextMs) return;
    this.#nextTextMs = performance.now() + TEXT_INTERVAL_MS * (reducedMotion.matches ? REDUCED_FACTOR : 1);
    this.#updateText(engine);
  }

  #show(id, engine) {
    this.#id = id;
    this.#threads.clear();
    this.#saturated.clear();
    this.#accepted = this.#arrivalsPerS = null;
    this.#builtFor = "";
    this.#knobs = {};
    this.#dots?.stop();
    this.#root.toggleAttribute("data-on", Boolean(id));
    if (this.#still) this.#still.hidden = Boolean(id);
    if (!id) return this.#place.replaceChildren();
    this.#root.dataset.model = engine.model;
    for (const roles of this.#root.querySelectorAll("[data-roles]"))
      roles.hidden = roles.dataset.roles !== engine.model;
    fetch(`${ROOT_PATH}/api/v1/engines/${encodeURIComponent(id)}`)
      .then((answer) => answer.json())
      .then(({ knobs }) => {
        if (this.#id === id && knobs) {
          this.#knobs = knobs;
          this.#builtFor = "";
        }
      })
      .catch(() => {});
  }

  /** New connections per second, from the counter of accepted ones. */
  #countArrivals({ t_s }, { accepted }) {
    if (accepted === undefined || accepted === null) return;
    const last = this.#accepted;
    this.#accepted = { t_s, accepted };
    if (!last || t_s <= last.t_s) return;
    const now = (accepted - last.accepted) / (t_s - last.t_s);
    this.#arrivalsPerS = smoothed(this.#arrivalsPerS, now);
    if (this.#arrivalsPerS < RATE_MIN_PER_S) this.#arrivalsPerS = 0;
  }

  #threadsOfRole(role) {
    return [...this.#threads.values()]
      .filter((thread) => thread.role === role)
      .sort((a, b) => a.index - b.index);
  }

  #build(model) {
    const roles = [...new Set([...this.#threads.values()].map(({ role }) => role))];
    const counts = Object.fromEntries(roles.map((role) => [role, this.#threadsOfRole(role).length]));
    const key = JSON.stringify([
      this.#id,
      this.#knobs.reply,
      Object.entries(counts).map(([role, n]) => [role, Math.min(n, BOXES_MAX + 1)]),
    ]);
    if (key === this.#builtFor) return;
    this.#builtFor = key;
    this.#shape = shapeFor(model, roles);
    const { boxes, width, height } = layOut(this.#shape, counts);
    this.#draw(model, boxes, counts, width, height);
    this.#nextTextMs = 0;
  }

  #draw(model, boxes, counts, width, height) {
    const [lines, dots, plates] = ["lines", "dots", "plates"].map((name) => svgElement("g", { class: name })),
      titleOf = (role) =>
        this.#root.querySelector(`[data-roles="${model}"] [data-role="${role}"]`)?.textContent;
    const svg = svgElement("svg", {
      class: "diagram living",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${model}: threads and queues of ${this.#id}, and the requests that flow between them`,
    });
    this.#views = boxes.map((box) => createNode(model, box, titleOf(box.node), counts[box.node]));
    svg.append(hatchDefinition(), lines, ...this.#views.map(({ element }) => element), dots, plates);
    const answers = { threadCount: this.#threads.size, reply: this.#knobs.reply };
    this.#edges = createEdges(this.#shape, boxes, height, answers);
    lines.append(...this.#edges.map(({ path }) => path));
    plates.append(...this.#edges.flatMap(({ plate }) => plate));
    this.#place.replaceChildren(svg);
    this.#dots = new FlowDots(dots);
    this.#dots.setEdges(this.#edges);
  }

  #threadsOf({ node, kind, at }) {
    return kind === "group" ? this.#threadsOfRole(node) : this.#threadsOfRole(node).slice(at, at + 1);
  }

  /** Requests per second that pass a box: its own and those of its workers; null where not known. */
  #passing(box) {
    if (["clients", "kernel", "queue"].includes(box.node)) return null;
    const own = this.#threadsOf(box),
      count = this.#threadsOfRole(box.node).length;
    const theirs =
      this.#shape.alone || box.node === "worker"
        ? []
        : this.#threadsOfRole("worker").filter((_, i, all) =>
            own.some(({ index }) => Math.floor((i * count) / all.length) === index),
          );
    const known = [...own, ...theirs].map(({ rate }) => rate).filter((rate) => rate !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  }

  #flow(engine) {
    const all = this.#sum(engine),
      news = this.#edges.filter(({ kind }) => kind === "new");
    for (const edge of this.#edges) {
      const alike = news.filter(({ a, b }) => a.node === edge.a.node && b.node === edge.b.node).length;
      edge.rate = edge.back
        ? all
        : edge.kind === "new"
          ? alike === 1
            ? (this.#arrivalsPerS ?? 0)
            : 0
          : (this.#passing(edge.b) ?? this.#passing(edge.a) ?? all);
      if (edge.rate < RATE_MIN_PER_S) edge.rate = 0;
    }
    if (!reducedMotion.matches) this.#dots.setTotalRate(all);
  }

  #sum({ requests_per_s }) {
    const known = [...this.#threads.values()].map(({ rate }) => rate).filter((rate) => rate !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : (requests_per_s ?? 0);
  }

  /** Update the set of saturated roles; returns the busy share of each role. */
  #updateSaturated(engine) {
    const busyOf = new Map();
    for (const role of new Set([...this.#threads.values()].map((thread) => thread.role))) {
      const threads = this.#threadsOfRole(role),
        busy = threads.reduce((sum, thread) => sum + thread.busy, 0) / threads.length;
      busyOf.set(role, busy);
      if (busy > SATURATED_MIN && threads[0].isKnown) this.#saturated.add(role);
      else if (busy < SATURATED_END) this.#saturated.delete(role);
    }
    const limit = this.#knobs.queue;
    if (limit && engine.queue_depth >= SATURATED_MIN * limit) this.#saturated.add("queue");
    else this.#saturated.delete("queue");
    return busyOf;
  }

  #updateText(engine) {
    const busyOf = this.#updateSaturated(engine),
      now = {
        ...engine,
        arrivalsPerS: this.#arrivalsPerS,
        connectionStates: live.hello.connection_states,
      };
    for (const view of this.#views) {
      const isSaturated = this.#saturated.has(view.node);
      updateNode(view, { ...now, isSaturated, threads: this.#threadsOf(view) });
    }
    for (const { path, rate } of this.#edges)
      path.setAttribute("stroke-width", (1 + Math.min(5, Math.log10(1 + rate) * 1.2)).toFixed(1));
    this.#describe(engine, busyOf);
  }

  /** The summary below the diagram. */
  #describe(engine, busyOf) {
    const roles = [...busyOf].map(([role, busy]) => {
      const percent = format.percent(100 * busy).replace(/\.\d/, "");
      return `${role} ${percent} busy${this.#saturated.has(role) ? " (saturated)" : ""}`;
    });
    const each = this.#dots?.requestsPerDot,
      requests = each === 1 ? "1 request" : `${format.count(each)} requests`;
    const dot = this.#dots && !reducedMotion.matches ? `1 dot = ${requests}.` : "";
    const rates = [
      `${format.rate(this.#sum(engine))} req/s`,
      `${format.rate(this.#arrivalsPerS)} accepts/s`,
      `queue depth ${format.count(engine.queue_depth)}`,
    ];
    setText(this.#summary, `${rates.join(", ")}; ${roles.join(", ")}. ${dot}`);
  }
}

for (const root of document.querySelectorAll("[data-diagram-panel]")) new Diagram(root);
