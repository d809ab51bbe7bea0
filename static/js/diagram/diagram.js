// The watched engine's model as a diagram that lives: every box is a thread of it, every number was read
// from its board.
import { layOut, edgePath, BOXES_MAX, nodeNames, shapeFor } from "./layout.js";
import { FlowDots } from "./flow-dots.js";
import * as format from "../lib/format.js";
import { live } from "../live/live-socket.js";
import { setText } from "../lib/dom.js";
import { isMeasuring } from "../live/paint-rate.js";
import { ROOT_PATH } from "../lib/root-path.js";

const NS = "http://www.w3.org/2000/svg",
  STATES_KEPT = 20,
  TEXT_MS = 400,
  SMOOTHING = 0.15,
  CELLS = 112,
  CELLS_PER_ROW = 16,
  SLOTS = 10,
  RINGS = 12;
const BUSY = ["accepting", "reading", "handling", "blocked", "writing"],
  SATURATED_MIN = 0.9,
  SATURATED_END = 0.85;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

function svgElement(name, attributes = {}, ...inside) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

/** A text in both languages; CSS shows the one that is asked for. */
function labels([plain, kitchen], x, y, look = "") {
  const text = (word, kind) => svgElement("text", { x, y, class: `${kind} ${look}` }, word);
  return plain === kitchen ? [text(plain, "")] : [text(plain, "words-plain"), text(kitchen, "words-kitchen")];
}

/** What one thread was doing in the last two seconds. */
class Thread {
  states = [];
  rate = null;
  cpu = null;
  update([, , , role, index, state, connections, rate, cpu], name) {
    Object.assign(this, { role, index, connections, state: name(state) });
    this.states = [...this.states.slice(1 - STATES_KEPT), this.state];
    if (rate !== null) this.rate = this.rate === null ? rate : this.rate + SMOOTHING * (rate - this.rate);
    if (cpu !== null) this.cpu = this.cpu === null ? cpu : this.cpu + SMOOTHING * (cpu - this.cpu);
  }
  share(state) {
    return this.states.filter((each) => each === state).length / this.states.length;
  }
  get busy() {
    return this.states.filter((each) => BUSY.includes(each)).length / this.states.length;
  }
}

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
  #textAt = 0;
  #accepted = null;
  #arrivals = null;
  #saturated = new Set();
  #visible = true;

  constructor(root) {
    this.#root = root;
    this.#place = root.querySelector("[data-diagram]");
    this.#summary = root.querySelector("[data-diagram-says]");
    this.#still = root.closest("[data-diagram-place]")?.querySelector("[data-diagram-still]");
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#visible = isIntersecting;
    }).observe(root);
    live.onFrame((frame) => this.#frame(frame));
  }

  /** The engine whose threads this page has asked for. */
  #watchedId(frame) {
    const told = Object.keys(frame.engines).filter((id) => frame.engines[id].threads);
    const named = document.querySelector("[data-watched-id]")?.textContent;
    return told.includes(named) ? named : (told[0] ?? null);
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
      if (!this.#threads.has(key)) this.#threads.set(key, new Thread());
      this.#threads.get(key).update(row, name);
    }
    for (const key of this.#threads.keys()) if (!seen.has(key)) this.#threads.delete(key);
    this.#countArrivals(frame, engine);
    if (!this.#visible || this.#root.open === false || !this.#threads.size) return this.#dots?.stop();
    this.#build(engine.model);
    if (isMeasuring() && !frame.legible) return;
    this.#flow(engine);
    if (performance.now() < this.#textAt) return;
    this.#textAt = performance.now() + (reducedMotion.matches ? 1000 : TEXT_MS);
    this.#updateText(engine);
  }

  #show(id, engine) {
    this.#id = id;
    this.#threads.clear();
    this.#saturated.clear();
    this.#accepted = this.#arrivals = null;
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

  /** New connections a second, from the counter that only grows. */
  #countArrivals({ t_s }, { accepted }) {
    if (accepted === undefined || accepted === null) return;
    const last = this.#accepted;
    this.#accepted = { t_s, accepted };
    if (!last || t_s <= last.t_s) return;
    const now = (accepted - last.accepted) / (t_s - last.t_s);
    this.#arrivals = this.#arrivals === null ? now : this.#arrivals + SMOOTHING * (now - this.#arrivals);
    if (this.#arrivals < 0.05) this.#arrivals = 0;
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
    const [lines, dots, plates] = ["lines", "dots", "plates"].map((name) => svgElement("g", { class: name }));
    const svg = svgElement("svg", {
      class: "diagram living",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${model}: threads and queues of ${this.#id}, and what flows between them`,
    });
    svg.append(
      svgElement(
        "defs",
        {},
        svgElement(
          "pattern",
          {
            id: "hatch",
            width: 4,
            height: 4,
            patternUnits: "userSpaceOnUse",
            patternTransform: "rotate(45)",
          },
          svgElement("rect", { width: 4, height: 4, class: "hatch-ground" }),
          svgElement("rect", { width: 1.4, height: 4, class: "hatch-line" }),
        ),
      ),
      lines,
    );
    this.#views = boxes.map((box) => this.#view(model, box, counts));
    svg.append(...this.#views.map(({ element }) => element), dots, plates);
    this.#edges = this.#lines(boxes, lines, plates, height);
    this.#place.replaceChildren(svg);
    this.#dots = new FlowDots(dots);
    this.#dots.setEdges(this.#edges);
    this.#textAt = 0;
  }

  #lines(boxes, layer, plates, height) {
    const edges = [],
      of = (node) => boxes.filter((box) => box.node === node);
    const draw = (a, b, kind, back) => {
      const path = svgElement("path", { class: `flow ${kind}`, d: edgePath(a, b, back, height) });
      layer.append(path);
      edges.push({ a, b, kind, back, path, rate: 0 });
    };
    for (const [from, to, kind] of this.#shape.flows)
      for (const a of of(from)) for (const b of of(to)) draw(a, b, kind, false);
    const last = boxes.filter(({ node }) => node !== "peers").at(-1),
      { mailbox, always } = this.#shape;
    if (this.#threads.size > 1 || last.node !== "acceptor") {
      const toMailbox = last.node === "worker" && mailbox && (always || this.#knobs.reply === "reactor"),
        target = toMailbox ? of(mailbox).at(-1) : of("peers")[0];
      draw(last, target, "all", true);
      const [x, y] = [(last.x + last.w / 2 + target.x + target.w / 2) / 2, height - 14],
        text = toMailbox ? "mailbox" : "answers";
      plates.append(
        svgElement("rect", { class: "plate", x: x - 34, y: y - 9, width: 68, height: 18, rx: 3 }),
        ...labels(nodeNames("", text), x, y + 4, "mid"),
      );
    }
    return edges;
  }

  #view(model, box, counts) {
    const { node, kind, x, y, w, h } = box,
      group = svgElement("g", { class: `node is-${kind}`, "data-node": node });
    const frame = svgElement("rect", {
      class: kind === "kernel" ? "kernel" : kind === "peers" ? "peers" : "thread",
      x: x + 0.5,
      y: y + 0.5,
      width: w - 1,
      height: h - 1,
      rx: 3,
    });
    const view = { ...box, element: group, number: null, note: null, parts: null, cells: null };
    const title = this.#root.querySelector(`[data-roles="${model}"] [data-role="${node}"]`)?.textContent;
    let names = nodeNames(model, node, title);
    if (kind === "box" && counts[node] > 1) names = names.map((each) => `${each} ${box.at + 1}`);
    if (kind === "peers") {
      view.cells = Array.from({ length: RINGS }, (_, i) =>
        svgElement("circle", {
          class: "ring",
          cx: x + w / 2 - 30 + (i % 4) * 20,
          cy: y + 16 + Math.floor(i / 4) * 20,
        }),
      );
      view.number = svgElement("text", { x: x + w / 2, y: y + 80, class: "number mid" });
      view.note = svgElement("text", { x: x + w / 2, y: y + 112, class: "soft mid" });
      group.append(...view.cells, view.number, ...labels(names, x + w / 2, y + 96, "mid"), view.note);
      return view;
    }
    group.append(frame);
    if (kind === "queue") {
      view.cells = Array.from({ length: SLOTS }, (_, i) =>
        svgElement("rect", { class: "slot", x: x + 6.5 + (i % 5) * 10, y: y + 8.5 + Math.floor(i / 5) * 11 }),
      );
      view.number = svgElement("text", { x: x + w / 2, y: y + 46, class: "number mid" });
      group.append(...view.cells, view.number, ...labels(names, x + w / 2, y + 58, "soft mid"));
      return view;
    }
    if (kind === "kernel") {
      view.number = svgElement("text", { x: x + w / 2, y: y + 46, class: "soft mid" });
      group.append(...labels(names, x + w / 2, y + 28, "mid"), view.number);
      return view;
    }
    view.number = svgElement("text", { x: x + w - 8, y: y + 16, class: "number end" });
    view.note = svgElement("text", { x: x + 8, y: y + h - 7, class: "soft" });
    view.parts = BUSY.map((state) =>
      svgElement("rect", {
        class: "part",
        "data-state": state,
        x: x + 8,
        y: y + 21,
        width: 0,
        height: 6,
        ...(state === "blocked" ? { fill: "url(#hatch)" } : {}),
      }),
    );
    group.append(
      ...labels(names, x + 8, y + 16),
      view.number,
      svgElement("rect", { class: "rail", x: x + 8, y: y + 21, width: w - 16, height: 6 }),
      ...view.parts,
      view.note,
    );
    if (kind === "group") {
      view.cells = Array.from({ length: CELLS }, (_, i) =>
        svgElement("rect", {
          class: "cell",
          x: x + 8 + (i % CELLS_PER_ROW) * 9.8,
          y: y + 33 + Math.floor(i / CELLS_PER_ROW) * 9.8,
          visibility: "hidden",
        }),
      );
      group.append(...view.cells);
    }
    return view;
  }

  #threadsOf({ node, kind, at }) {
    return kind === "group" ? this.#threadsOfRole(node) : this.#threadsOfRole(node).slice(at, at + 1);
  }

  /** Requests a second that pass a box: its own, and those of the workers that belong to it. */
  #passing(box) {
    if (["peers", "kernel", "queue"].includes(box.node)) return null;
    const own = this.#threadsOf(box),
      peersOf = this.#threadsOfRole(box.node).length;
    const theirs =
      this.#shape.alone || box.node === "worker"
        ? []
        : this.#threadsOfRole("worker").filter((_, i, all) =>
            own.some(({ index }) => Math.floor((i * peersOf) / all.length) === index),
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
            ? (this.#arrivals ?? 0)
            : 0
          : (this.#passing(edge.b) ?? this.#passing(edge.a) ?? all);
      if (edge.rate < 0.05) edge.rate = 0;
    }
    if (!reducedMotion.matches) this.#dots.setTotalRate(all);
  }

  #sum({ requests_per_s }) {
    const known = [...this.#threads.values()].map(({ rate }) => rate).filter((rate) => rate !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : (requests_per_s ?? 0);
  }

  #updateText(engine) {
    const busyOf = new Map();
    for (const role of new Set([...this.#threads.values()].map((thread) => thread.role))) {
      const threads = this.#threadsOfRole(role),
        busy = threads.reduce((sum, thread) => sum + thread.busy, 0) / threads.length;
      busyOf.set(role, busy);
      if (busy > SATURATED_MIN && threads[0].states.length >= STATES_KEPT) this.#saturated.add(role);
      else if (busy < SATURATED_END) this.#saturated.delete(role);
    }
    if (this.#knobs.queue && engine.queue_depth >= SATURATED_MIN * this.#knobs.queue)
      this.#saturated.add("queue");
    else this.#saturated.delete("queue");
    for (const view of this.#views) this.#fillView(view, engine);
    for (const { path, rate } of this.#edges)
      path.setAttribute("stroke-width", (1 + Math.min(5, Math.log10(1 + rate) * 1.2)).toFixed(1));
    const roles = [...busyOf].map(([role, busy]) => {
      const percent = format.percent(100 * busy).replace(/\.\d/, "");
      return `${role} ${percent} occupied${this.#saturated.has(role) ? " (saturated)" : ""}`;
    });
    const each = this.#dots?.requestsPerDot,
      requests = each === 1 ? "one request" : `${format.count(each)} requests`;
    const dot = this.#dots && !reducedMotion.matches ? `One dot is ${requests}.` : "";
    const rates = [
      `${format.rate(this.#sum(engine))} requests/s`,
      `${format.rate(this.#arrivals)} new connections/s`,
      `queue ${format.count(engine.queue_depth)}`,
    ];
    setText(this.#summary, `${rates.join(", ")}; ${roles.join(", ")}. ${dot}`);
  }

  #fillView(view, engine) {
    const hot = this.#saturated.has(view.node);
    view.element.classList.toggle("hot", hot);
    if (view.kind === "peers") return this.#fillPeers(view, engine);
    if (view.kind === "kernel")
      return setText(
        view.number,
        view.node === "kernel" && this.#arrivals !== null ? `${format.rate(this.#arrivals)} new/s` : "",
      );
    if (view.kind === "queue") {
      const filled = engine.queue_depth ? Math.min(SLOTS, 1 + Math.floor(Math.log2(engine.queue_depth))) : 0;
      view.cells.forEach((cell, i) => cell.toggleAttribute("data-full", i < filled));
      return setText(view.number, format.count(engine.queue_depth));
    }
    const threads = this.#threadsOf(view);
    if (!threads.length) return;
    const mean = (read) => threads.reduce((sum, thread) => sum + read(thread), 0) / threads.length;
    let x = view.x + 8;
    for (const part of view.parts) {
      const w = (view.w - 16) * mean((thread) => thread.share(part.dataset.state));
      part.setAttribute("x", x.toFixed(1));
      part.setAttribute("width", w.toFixed(1));
      x += w;
    }
    const sum = (read) =>
      threads
        .map(read)
        .filter((v) => v !== null)
        .reduce((a, b) => a + b, 0);
    setText(
      view.number,
      `${format.percent(100 * mean((thread) => thread.busy)).replace(/\.\d/, "")}${hot ? ", saturated" : ""}`,
    );
    const held = sum(({ connections }) => connections),
      rate = sum((thread) => thread.rate);
    const parts = [
      `CPU ${format.percent(sum((thread) => thread.cpu)).replace(/\.\d/, "")}`,
      rate >= 0.1 ? `${format.rate(rate)}/s` : "",
      held && view.kind === "box" ? `${format.count(held)} conns` : "",
    ];
    setText(
      view.note,
      view.kind === "group"
        ? [
            `${format.count(threads.length)} threads`,
            ...parts,
            threads.length > CELLS ? `${CELLS} shown` : "",
          ]
            .filter(Boolean)
            .join(", ")
        : parts.filter(Boolean).join(", "),
    );
    view.cells?.forEach((cell, i) => {
      cell.setAttribute("visibility", threads[i] ? "visible" : "hidden");
      if (threads[i]) cell.dataset.state = threads[i].state;
    });
  }

  /** Each ring is a connection, or where there are more, an equal share of them. */
  #fillPeers(view, engine) {
    const counts = live.hello.connection_states
      .slice(1)
      .map((state, i) => [state, engine.connections?.[i] ?? 0])
      .reverse();
    const total = engine.connections_total,
      each = Math.max(1, total / RINGS),
      drawn = [];
    for (const [state, n] of counts) for (let i = Math.ceil(n / each - 1e-9); i > 0; i--) drawn.push(state);
    view.cells.forEach((ring, i) => {
      ring.dataset.state = drawn[i] ?? "none";
    });
    setText(view.number, format.count(total));
    setText(view.note, this.#arrivals === null ? "" : `${format.rate(this.#arrivals)} new/s`);
  }
}

for (const root of document.querySelectorAll("[data-diagram-panel]")) new Diagram(root);
