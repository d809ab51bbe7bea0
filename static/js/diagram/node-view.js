// The nodes of a diagram: a box for each thread or for a large group of them, the clients, the kernel, a
// queue. `createNode` draws a node once, `updateNode` writes numbers and states into it.
import * as format from "../lib/format.js";
import { setText } from "../lib/dom.js";
import { nodeNames } from "./layout.js";
import { labels, svgElement } from "./svg.js";
import { BUSY_STATES } from "./thread-activity.js";

const CELLS = 112,
  CELLS_PER_ROW = 16,
  QUEUE_SLOTS = 10,
  CLIENT_RINGS = 12;
const wholePercent = (share) => format.percent(100 * share).replace(/\.\d/, "");

function createClients(view, names) {
  const { x, y, w, element } = view;
  view.cells = Array.from({ length: CLIENT_RINGS }, (_, i) =>
    svgElement("circle", {
      class: "ring",
      cx: x + w / 2 - 30 + (i % 4) * 20,
      cy: y + 16 + Math.floor(i / 4) * 20,
    }),
  );
  view.number = svgElement("text", { x: x + w / 2, y: y + 80, class: "number mid" });
  view.note = svgElement("text", { x: x + w / 2, y: y + 112, class: "soft mid" });
  element.append(...view.cells, view.number, ...labels(names, x + w / 2, y + 96, "mid"), view.note);
}

function createQueue(view, names) {
  const { x, y, w, element } = view;
  view.cells = Array.from({ length: QUEUE_SLOTS }, (_, i) =>
    svgElement("rect", { class: "slot", x: x + 6.5 + (i % 5) * 10, y: y + 8.5 + Math.floor(i / 5) * 11 }),
  );
  view.number = svgElement("text", { x: x + w / 2, y: y + 46, class: "number mid" });
  element.append(...view.cells, view.number, ...labels(names, x + w / 2, y + 58, "soft mid"));
}

function createKernel(view, names) {
  const { x, y, w, element } = view;
  view.number = svgElement("text", { x: x + w / 2, y: y + 46, class: "soft mid" });
  element.append(...labels(names, x + w / 2, y + 28, "mid"), view.number);
}

/** The bar of a box: a part for each state, as wide as its share of the time. */
function createParts({ x, y }) {
  return BUSY_STATES.map((state) =>
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
}

function createThreads(view, names) {
  const { kind, x, y, w, h, element } = view;
  view.number = svgElement("text", { x: x + w - 8, y: y + 16, class: "number end" });
  view.note = svgElement("text", { x: x + 8, y: y + h - 7, class: "soft" });
  view.parts = createParts(view);
  element.append(
    ...labels(names, x + 8, y + 16),
    view.number,
    svgElement("rect", { class: "rail", x: x + 8, y: y + 21, width: w - 16, height: 6 }),
    ...view.parts,
    view.note,
  );
  if (kind !== "group") return;
  view.cells = Array.from({ length: CELLS }, (_, i) =>
    svgElement("rect", {
      class: "cell",
      x: x + 8 + (i % CELLS_PER_ROW) * 9.8,
      y: y + 33 + Math.floor(i / CELLS_PER_ROW) * 9.8,
      visibility: "hidden",
    }),
  );
  element.append(...view.cells);
}

const CREATE = { clients: createClients, queue: createQueue, kernel: createKernel };

/** `box` is one of `layOut`, `title` the role's title, `count` how many boxes its role has. */
export function createNode(model, box, title, count) {
  const { node, kind, x, y, w, h } = box,
    element = svgElement("g", { class: `node is-${kind}`, "data-node": node }),
    view = { ...box, element, number: null, note: null, parts: null, cells: null };
  let names = nodeNames(model, node, title);
  if (kind === "box" && count > 1) names = names.map((each) => `${each} ${box.at + 1}`);
  if (kind !== "clients")
    element.append(
      svgElement("rect", {
        class: kind === "kernel" ? "kernel" : "thread",
        x: x + 0.5,
        y: y + 0.5,
        width: w - 1,
        height: h - 1,
        rx: 3,
      }),
    );
  (CREATE[kind] ?? createThreads)(view, names);
  return view;
}

/** Each ring is a connection, or with more connections than rings, an equal share of them. */
function updateClients(view, { connections, connections_total: total, connectionStates, arrivalsPerS }) {
  const each = Math.max(1, total / CLIENT_RINGS),
    drawn = [];
  const counts = connectionStates.slice(1).map((state, i) => [state, connections?.[i] ?? 0]);
  for (const [state, n] of counts.reverse())
    for (let i = Math.ceil(n / each - 1e-9); i > 0; i--) drawn.push(state);
  view.cells.forEach((ring, i) => {
    ring.dataset.state = drawn[i] ?? "none";
  });
  setText(view.number, format.count(total));
  setText(view.note, arrivalsPerS === null ? "" : `${format.rate(arrivalsPerS)} accepts/s`);
}

function updateQueue(view, { queue_depth: depth }) {
  const filled = depth ? Math.min(QUEUE_SLOTS, 1 + Math.floor(Math.log2(depth))) : 0;
  view.cells.forEach((cell, i) => cell.toggleAttribute("data-full", i < filled));
  setText(view.number, format.count(depth));
}

function updateKernel(view, { arrivalsPerS }) {
  const known = view.node === "kernel" && arrivalsPerS !== null;
  setText(view.number, known ? `${format.rate(arrivalsPerS)} accepts/s` : "");
}

function noteOf(view, threads) {
  const sum = (read) =>
    threads
      .map(read)
      .filter((v) => v !== null)
      .reduce((a, b) => a + b, 0);
  const connections = sum((thread) => thread.connections),
    rate = sum((thread) => thread.rate);
  const parts = [
    `CPU ${format.percent(sum((thread) => thread.cpu)).replace(/\.\d/, "")}`,
    rate >= 0.1 ? `${format.rate(rate)} req/s` : "",
    connections && view.kind === "box" ? `${format.count(connections)} connections` : "",
  ];
  if (view.kind === "group") {
    parts.unshift(`${format.count(threads.length)} threads`);
    parts.push(threads.length > CELLS ? `${CELLS} shown` : "");
  }
  return parts.filter(Boolean).join(", ");
}

function updateThreads(view, { threads, isSaturated }) {
  if (!threads.length) return;
  const mean = (read) => threads.reduce((sum, thread) => sum + read(thread), 0) / threads.length;
  let x = view.x + 8;
  for (const part of view.parts) {
    const w = (view.w - 16) * mean((thread) => thread.share(part.dataset.state));
    part.setAttribute("x", x.toFixed(1));
    part.setAttribute("width", w.toFixed(1));
    x += w;
  }
  setText(view.number, `${wholePercent(mean((thread) => thread.busy))}${isSaturated ? ", saturated" : ""}`);
  setText(view.note, noteOf(view, threads));
  view.cells?.forEach((cell, i) => {
    cell.setAttribute("visibility", threads[i] ? "visible" : "hidden");
    if (threads[i]) cell.dataset.state = threads[i].state;
  });
}

const UPDATE = { clients: updateClients, queue: updateQueue, kernel: updateKernel };

/**
 * `now`: the engine of a frame, with the `threads` of this node, `isSaturated`, `arrivalsPerS` and
 * `connectionStates`, their names.
 */
export function updateNode(view, now) {
  view.element.classList.toggle("hot", now.isSaturated);
  (UPDATE[view.kind] ?? updateThreads)(view, now);
}
