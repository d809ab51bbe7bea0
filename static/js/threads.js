// The thread table: a row for each thread, in the order of roles; beyond 64 the rest is told by state.
import * as format from "./format.js";
import { write } from "./numbers.js";

const MOST = 64;
const DENSITIES = [[14, "wide"], [34, "close"], [Infinity, "dense"]];
const COLUMNS = ["name", "tid", "lane", "state", "held", "rate", "busy", "cpu"];
const AT_WIDE = new Set(["tid", "held", "rate", "busy"]);

function build(lane, number) {
  const tr = document.createElement("tr");
  for (const column of COLUMNS) {
    const cell = document.createElement(column === "name" ? "th" : "td");
    if (column === "name") cell.scope = "row";
    cell.className = [column === "lane" || column === "state" || column === "name" ? "" : "num", AT_WIDE.has(column) ? "at-wide" : "", column].join(" ").trim();
    tr.append(cell);
  }
  const swatch = document.createElement("i");
  swatch.className = "swatch";
  tr.children[3].append(swatch, document.createElement("span"));
  const name = `${lane.role}${number(lane)}`;
  tr.children[0].textContent = name;
  tr.children[1].textContent = String(lane.tid);
  return { lane, element: tr, name };
}

/** Threads of a role go by their index; where all have the same one (a thread a connection) by their slot; one alone by its role. */
function numbering(lanes) {
  if (lanes.length < 2 && !lanes[0].index) return () => "";
  const distinct = new Set(lanes.map(({ index }) => index)).size === lanes.length;
  return ({ index, row: [slot] }) => ` ${distinct ? index + 1 : slot}`;
}

export class ThreadTable {
  #body; #folded; #rows = new Map(); #order = "";

  constructor(body, folded) { this.#body = body; this.#folded = folded; }

  get rows() { return [...this.#rows.values()]; }

  /** Put rows in place for the lanes there are now; text is written by `tell`. */
  arrange(history) {
    const lanes = [...history.lanes.values()];
    const roles = [...new Set(lanes.map(({ role }) => role))];
    lanes.sort((a, b) => roles.indexOf(a.role) - roles.indexOf(b.role) || a.index - b.index || a.row[0] - b.row[0]);
    const shown = lanes.slice(0, MOST);
    this.#fold(history, lanes.slice(MOST));
    const order = shown.map(({ key }) => key).join();
    if (order === this.#order) return;
    this.#order = order;
    const numbers = new Map(roles.map((role) => [role, numbering(lanes.filter((lane) => lane.role === role))]));
    const old = this.#rows;
    this.#rows = new Map(shown.map((lane) => [lane.key, old.get(lane.key)?.lane === lane ? old.get(lane.key) : build(lane, numbers.get(lane.role))]));
    this.#body.replaceChildren(...this.rows.map(({ element }) => element));
    this.#body.closest("table").dataset.density = DENSITIES.find(([most]) => shown.length <= most)[1];
  }

  tell(history) {
    for (const { lane, element } of this.#rows.values()) {
      const [, , , , , , connections, rate, cpu] = lane.row;
      const state = history.name(lane.state), cells = element.children;
      cells[3].firstChild.dataset.state = state;
      write(cells[3].lastChild, state);
      write(cells[4], format.count(connections));
      write(cells[5], format.rate(rate));
      write(cells[6], format.share(history.busy(lane)).replace(/\.\d/, ""));
      write(cells[7], format.percent(cpu).replace(/\.\d/, ""));
    }
  }

  #fold(history, rest) {
    this.#folded.hidden = !rest.length;
    if (!rest.length) return;
    const tally = new Map();
    for (const { state } of rest) tally.set(history.name(state), (tally.get(history.name(state)) ?? 0) + 1);
    const parts = [...tally].sort((a, b) => b[1] - a[1]).map(([state, n]) => `${format.count(n)} ${state}`);
    write(this.#folded, `and ${format.count(rest.length)} more: ${parts.join(", ")}`);
  }
}
