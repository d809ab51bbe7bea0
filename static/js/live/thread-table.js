// The thread table: one row per thread, in the order of roles. With more than 64 threads, large roles are
// folded into one row. An unfolded role shows one page of its threads, with buttons for the others.
import { STATES } from "../lanes/time-bins.js";
import * as format from "../lib/format.js";
import { busyShare } from "../lanes/thread-history.js";
import { setText } from "../lib/dom.js";
import { groupByRole, sortRoles, threadNamer, roleTitle } from "../lib/thread-roles.js";

const UNFOLDED_MAX = 64,
  FOLD_MIN = 8,
  PAGE_SIZE = 24;
const DENSITIES = [
  [5, "tallest"],
  [8, "tall"],
  [14, "wide"],
  [34, "close"],
  [Infinity, "dense"],
];
const COLUMNS = ["name", "tid", "lane", "rate", "busy", "cpu", "stalled"];
const IDLE_STATES = ["ended", "waiting", "queue"];
const out = new Float64Array(STATES);

function make(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
}

function cells(name) {
  const tr = document.createElement("tr");
  for (const column of COLUMNS) {
    const cell = make(column === "name" ? "th" : "td", {
      className: { name: column, lane: column, busy: "num" }[column] ?? "num at-wide",
    });
    if (column === "name") {
      cell.scope = "row";
      cell.append(name);
    }
    if (column === "lane") cell.append(make("span", { className: "sr" }));
    tr.append(cell);
  }
  return tr;
}

export class ThreadTable {
  #body;
  #rows = new Map();
  #order = "";
  #plannedFor = "";
  #open = new Map(); // unfolded role → the first thread shown

  constructor(body) {
    this.#body = body;
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** Create the rows for the threads of now; `updateText` fills them. */
  updateRows(history) {
    const seen = `${history.version} ${[...this.#open].join(" ")}`;
    if (seen === this.#plannedFor) return;
    this.#plannedFor = seen;
    const order = this.#planRows(history),
      key = order.map((each) => each.key).join();
    if (key === this.#order) return;
    this.#order = key;
    const old = this.#rows;
    this.#rows = new Map(
      order.map((each) => {
        const kept = old.get(each.key);
        const isSame = kept && kept.source === each.source && kept.name === each.name && !each.pager;
        return [each.key, isSame ? kept : this.#build(each)];
      }),
    );
    const focused = document.activeElement?.dataset?.fold;
    this.#body.replaceChildren(...this.rows.map(({ element }) => element));
    if (focused && !document.activeElement?.dataset?.fold)
      this.#body.querySelector(`[data-fold="${CSS.escape(focused)}"]`)?.focus();
    this.#body.closest("table").dataset.density = DENSITIES.find(([most]) => order.length <= most)[1];
  }

  updateText(history, from, to) {
    const idleStates = new Set(IDLE_STATES.map((name) => history.names.indexOf(name)));
    for (const { source, lane, element, pager } of this.#rows.values()) {
      if (pager) continue;
      const [, tid, lanes, rate, share, cpu, stalled] = element.children;
      setText(share, format.share(busyShare(source, from, to, idleStates, out)).replace(/\.\d/, ""));
      if (!lane) continue;
      setText(tid, String(lane.tid));
      setText(lanes.firstChild, history.name(lane.state));
      setText(rate, format.rate(lane.row[7]));
      setText(cpu, format.percent(lane.row[8]).replace(/\.\d/, ""));
      setText(stalled, format.percent(lane.row[11]).replace(/\.\d/, ""));
    }
  }

  #planRows(history) {
    const roles = groupByRole(history.lanes.values());
    const fold = history.lanes.size > UNFOLDED_MAX,
      plan = [];
    for (const role of sortRoles(roles.keys())) {
      const lanes = roles.get(role);
      lanes.sort((a, b) => a.index - b.index || a.slot - b.slot);
      const name = threadNamer(lanes),
        rows = (some) => some.map((lane) => ({ key: lane.key, source: lane, lane, name: name(lane) }));
      if (!fold || lanes.length <= FOLD_MIN || !history.roleLanes.has(role)) {
        plan.push(...rows(lanes));
        continue;
      }
      const open = this.#open.has(role),
        first = Math.max(0, Math.min(this.#open.get(role) ?? 0, lanes.length - PAGE_SIZE));
      plan.push({
        key: `band ${role} ${lanes.length} ${open}`,
        source: history.roleLanes.get(role),
        role,
        size: lanes.length,
        name: roleTitle(role),
        open,
      });
      if (!open) continue;
      plan.push(...rows(lanes.slice(first, first + PAGE_SIZE)));
      if (lanes.length > PAGE_SIZE)
        plan.push({
          key: `pager ${role} ${first} ${lanes.length}`,
          pager: true,
          role,
          first,
          size: lanes.length,
        });
    }
    return plan;
  }

  #build(each) {
    if (each.pager) return { ...each, element: this.#pager(each) };
    if (each.lane) return { ...each, element: cells(each.name) };
    const button = make(
      "button",
      { type: "button", className: "fold", title: `${each.open ? "Fold" : "Unfold"} ${each.size} threads` },
      each.name,
      make("small", { textContent: ` ×${format.count(each.size)}` }),
    );
    button.setAttribute("aria-expanded", String(each.open));
    button.dataset.fold = each.role;
    button.addEventListener("click", () => this.#toggle(each.role));
    const element = cells(button);
    element.className = "band";
    return { ...each, element };
  }

  #toggle(role) {
    if (!this.#open.delete(role)) this.#open.set(role, 0);
  }

  #pager({ role, first, size }) {
    const move = (to, text, label) => {
      const button = make("button", {
        type: "button",
        className: "fold",
        textContent: text,
        disabled: to < 0 || to >= size,
      });
      button.dataset.fold = `${role} ${text}`;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => this.#open.set(role, to));
      return button;
    };
    const th = make(
      "th",
      { scope: "row" },
      move(
        first - PAGE_SIZE < 0 && first > 0 ? 0 : first - PAGE_SIZE,
        "‹",
        `Earlier ${roleTitle(role)} threads`,
      ),
      ` ${first + 1}–${first + PAGE_SIZE} `,
      move(first + PAGE_SIZE, "›", `Further ${roleTitle(role)} threads`),
    );
    return make("tr", { className: "further" }, th);
  }
}
