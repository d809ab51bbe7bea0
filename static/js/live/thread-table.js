// The thread table: a row for each thread, in the order of roles. Beyond 64 threads a role folds into one
// row, its density band; unfolded, a window of its threads is shown, and moved by two buttons.
import { STATES } from "../lanes/time-bins.js";
import * as format from "../lib/format.js";
import { busy } from "../lanes/thread-history.js";
import { write } from "./live-numbers.js";
import { byRole, inOrder, naming, title } from "../lib/thread-roles.js";

const MOST = 64,
  FEW = 8,
  SHOWN = 24;
const DENSITIES = [
  [5, "tallest"],
  [8, "tall"],
  [14, "wide"],
  [34, "close"],
  [Infinity, "dense"],
];
const COLUMNS = ["name", "tid", "lane", "rate", "busy", "cpu"];
const QUIET = ["ended", "waiting", "queue"];
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
      className:
        { tid: "num at-wide", rate: "num at-wide", busy: "num", cpu: "num at-wide" }[column] ?? column,
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
  #seen = "";
  #open = new Map(); // role → the first thread shown

  constructor(body) {
    this.#body = body;
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** Put rows in place for the lanes there are now; text is written by `tell`. */
  arrange(history) {
    const seen = `${history.version} ${[...this.#open].join(" ")}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    const order = this.#plan(history),
      key = order.map((each) => each.key).join();
    if (key === this.#order) return;
    this.#order = key;
    const old = this.#rows;
    this.#rows = new Map(
      order.map((each) => {
        const kept = old.get(each.key);
        return [each.key, kept && kept.source === each.source && !each.pager ? kept : this.#build(each)];
      }),
    );
    const focused = document.activeElement?.dataset?.fold;
    this.#body.replaceChildren(...this.rows.map(({ element }) => element));
    if (focused && !document.activeElement?.dataset?.fold)
      this.#body.querySelector(`[data-fold="${CSS.escape(focused)}"]`)?.focus();
    this.#body.closest("table").dataset.density = DENSITIES.find(([most]) => order.length <= most)[1];
  }

  tell(history, from, to) {
    const quiet = new Set(QUIET.map((name) => history.names.indexOf(name)));
    for (const { source, lane, element, pager } of this.#rows.values()) {
      if (pager) continue;
      const [, tid, lanes, rate, share, cpu] = element.children;
      write(share, format.share(busy(source, from, to, quiet, out)).replace(/\.\d/, ""));
      if (!lane) continue;
      write(tid, String(lane.tid));
      write(lanes.firstChild, history.name(lane.state));
      write(rate, format.rate(lane.row[7]));
      write(cpu, format.percent(lane.row[8]).replace(/\.\d/, ""));
    }
  }

  #plan(history) {
    const roles = byRole(history.lanes.values());
    const fold = history.lanes.size > MOST,
      plan = [];
    for (const role of inOrder(roles.keys())) {
      const lanes = roles.get(role);
      lanes.sort((a, b) => a.index - b.index || a.slot - b.slot);
      const name = naming(lanes),
        rows = (some) => some.map((lane) => ({ key: lane.key, source: lane, lane, name: name(lane) }));
      if (!fold || lanes.length <= FEW || !history.bands.has(role)) {
        plan.push(...rows(lanes));
        continue;
      }
      const open = this.#open.has(role),
        first = Math.max(0, Math.min(this.#open.get(role) ?? 0, lanes.length - SHOWN));
      plan.push({
        key: `band ${role} ${lanes.length} ${open}`,
        source: history.bands.get(role),
        role,
        size: lanes.length,
        name: title(role),
        open,
      });
      if (!open) continue;
      plan.push(...rows(lanes.slice(first, first + SHOWN)));
      if (lanes.length > SHOWN)
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
      move(first - SHOWN < 0 && first > 0 ? 0 : first - SHOWN, "‹", `Earlier ${title(role)} threads`),
      ` ${first + 1}–${first + SHOWN} `,
      move(first + SHOWN, "›", `Further ${title(role)} threads`),
    );
    return make("tr", { className: "further" }, th);
  }
}
