// The layout of each model's diagram: columns of nodes from left to right, the flows between them, and the
// names in the restaurant analogy. A node is a thread role of the model, or clients, kernel or queue; gap and
// room stay empty. A flow is "new" (connections) or "all" (requests).
export const SHAPES = {
  blocking: {
    columns: [["clients"], ["acceptor", "room"], ["connection"]],
    flows: [
      ["clients", "acceptor", "new"],
      ["acceptor", "connection", "new"],
      ["clients", "connection", "all"],
    ],
  },
  reactor: {
    columns: [["clients"], ["reactor"]],
    flows: [
      ["clients", "reactor", "new"],
      ["clients", "reactor", "all"],
    ],
  },
  "reactor-pool": {
    columns: [["clients"], ["reactor"], ["queue"], ["worker"]],
    flows: [
      ["clients", "reactor", "new"],
      ["clients", "reactor", "all"],
      ["reactor", "queue", "all"],
      ["queue", "worker", "all"],
    ],
    mailbox: "reactor",
  },
  "main-sub": {
    columns: [["clients"], ["main", "room"], ["sub"], ["queue"], ["worker"]],
    flows: [
      ["clients", "main", "new"],
      ["main", "sub", "new"],
      ["clients", "sub", "all"],
      ["sub", "queue", "all"],
      ["queue", "worker", "all"],
    ],
    mailbox: "sub",
  },
  proactor: {
    columns: [["clients"], ["kernel"], ["ring"], ["queue"], ["worker"]],
    flows: [
      ["clients", "kernel", "new"],
      ["clients", "kernel", "all"],
      ["kernel", "ring", "all"],
      ["ring", "queue", "all"],
      ["queue", "worker", "all"],
    ],
    mailbox: "ring",
    always: true,
  },
  prefork: {
    columns: [["clients"], ["kernel", "gap", "master"], ["worker"]],
    flows: [
      ["clients", "kernel", "new"],
      ["kernel", "worker", "new"],
      ["clients", "worker", "all"],
    ],
    alone: true,
  },
};
const NODES = {
  clients: ["connections", "guests"],
  queue: ["queue", "slips"],
  mailbox: ["mailbox", "the pass"],
  answers: ["responses", "dishes"],
};
const KITCHEN = {
  blocking: { acceptor: "greeter", connection: "waiter" },
  reactor: { reactor: "waiter and cook" },
  "reactor-pool": { reactor: "waiter", worker: "cook" },
  "main-sub": { main: "greeter", sub: "waiter", worker: "cook" },
  proactor: { kernel: ["kernel: io_uring", "kitchen hands"], ring: "the pass", worker: "cook" },
  prefork: { kernel: ["listening socket", "one queue"], master: "owner", worker: "food truck" },
};

/** The two names of a node: that of the literature and that of the restaurant analogy. */
export function nodeNames(model, node, title) {
  const own = KITCHEN[model]?.[node];
  return Array.isArray(own) ? own : (NODES[node] ?? [title ?? node, own ?? title ?? node]);
}

/** The shape of a model; one that is not listed has the clients, then its roles in turn. */
export function shapeFor(model, roles) {
  return (
    SHAPES[model] ?? {
      columns: [["clients"], ...roles.map((role) => [role])],
      flows: roles.slice(0, 1).map((role) => ["clients", role, "all"]),
    }
  );
}

const WIDTH = 760,
  BOX = { w: 148, h: 44 },
  PITCH = 51,
  WIDE = { clients: 92, kernel: 112, queue: 62, group: 172 },
  HIGH = { clients: 112, kernel: 62, queue: 62, gap: 58, room: 110, group: 118 };
export const BOXES_MAX = 6;

/** Returns { boxes: [{ node, at, kind, x, y, w, h }], width, height }. `counts`: threads by role. */
export function layOut(shape, counts) {
  const columns = shape.columns
    .map((column) => column.filter((node) => node in HIGH || counts[node]))
    .filter((column, i, all) =>
      column.some((node) => node !== "queue" || all[i + 1]?.some((next) => counts[next])),
    );
  const kind = (node) => (node in HIGH ? node : counts[node] > BOXES_MAX ? "group" : "box");
  const rows = (node) => (kind(node) === "box" ? counts[node] : 1),
    high = (node) => HIGH[kind(node)] ?? BOX.h;
  const tall = (column) =>
    column.reduce((sum, node) => sum + (kind(node) === "box" ? rows(node) * PITCH : high(node) + 7), -7);
  const wide = (column) =>
    Math.max(...column.map((node) => (node === "gap" || node === "room" ? 0 : (WIDE[kind(node)] ?? BOX.w))));
  const height = Math.max(150, ...columns.map(tall)) + 46,
    middle = (height - 26) / 2;
  const room =
    (WIDTH - 4 - columns.reduce((sum, column) => sum + wide(column), 0)) / Math.max(1, columns.length - 1);
  const boxes = [];
  let x = 2;
  for (const column of columns) {
    let y = middle - tall(column) / 2;
    for (const node of column) {
      for (let at = 0; at < rows(node); at++) {
        const w = WIDE[kind(node)] ?? BOX.w;
        if (node !== "gap" && node !== "room")
          boxes.push({ node, at, kind: kind(node), x: x + (wide(column) - w) / 2, y, w, h: high(node) });
        y += kind(node) === "box" ? PITCH : high(node) + 7;
      }
    }
    x += wide(column) + Math.min(room, columns.length > 2 ? 150 : 240);
  }
  const right = Math.max(...boxes.map((b) => b.x + b.w)),
    shift = (WIDTH - right - 2) / 2;
  for (const b of boxes) b.x += shift;
  return { boxes, width: WIDTH, height };
}

/** The path from one box to another; `back`: below all boxes, from the bottom of one to that of the other. */
export function edgePath(a, b, back, height) {
  if (back) {
    const [x1, x2, y] = [a.x + a.w / 2, b.x + b.w / 2, height - 14];
    const down = `M${x1} ${a.y + a.h}V${y - 8}Q${x1} ${y} ${x1 - 8} ${y}`,
      up = `H${x2 + 8}Q${x2} ${y} ${x2} ${y - 8}V${b.y + b.h + 6}`;
    return down + up;
  }
  const [x1, y1, x2, y2] = [a.x + a.w, a.y + a.h / 2, b.x - 6, b.y + b.h / 2],
    bend = (x2 - x1) / 2;
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}
