// The edges of a diagram: new connections, requests, and the way back of the responses.
import { edgePath, nodeNames } from "./layout.js";
import { labels, svgElement } from "./svg.js";

const PLATE = { width: 68, height: 18, rx: 3 };

function createEdge(a, b, kind, back, height) {
  const path = svgElement("path", { class: `flow ${kind}`, d: edgePath(a, b, back, height) });
  return { a, b, kind, back, path, rate: 0, plate: [] };
}

/** The label of the way back, in its middle. */
function createPlate({ a, b }, name, height) {
  const x = (a.x + a.w / 2 + b.x + b.w / 2) / 2,
    y = height - 14;
  return [
    svgElement("rect", { class: "plate", x: x - PLATE.width / 2, y: y - PLATE.height / 2, ...PLATE }),
    ...labels(nodeNames("", name), x, y + 4, "mid"),
  ];
}

/**
 * Returns [{ a, b, kind, back, path, rate, plate }]: `kind` is "new" (connections) or "all" (requests),
 * `plate` the elements of its label. `reply`: the knob that selects the thread that sends responses.
 */
export function createEdges(shape, boxes, height, { threadCount, reply }) {
  const boxesOf = (node) => boxes.filter((box) => box.node === node),
    edges = shape.flows.flatMap(([from, to, kind]) =>
      boxesOf(from).flatMap((a) => boxesOf(to).map((b) => createEdge(a, b, kind, false, height))),
    );
  const last = boxes.filter(({ node }) => node !== "clients").at(-1);
  if (threadCount < 2 && last.node === "acceptor") return edges;
  const { mailbox, always } = shape,
    toMailbox = last.node === "worker" && mailbox && (always || reply === "reactor"),
    back = createEdge(last, toMailbox ? boxesOf(mailbox).at(-1) : boxesOf("clients")[0], "all", true, height);
  back.plate = createPlate(back, toMailbox ? "mailbox" : "answers", height);
  return [...edges, back];
}
