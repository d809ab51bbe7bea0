// The connections of one engine: the grid, the numbers by state beside it, and the same as a table.
import * as format from "../lib/format.js";
import { setText } from "../lib/dom.js";
import { ConnectionGrid } from "./connection-grid.js";

const TABLE_INTERVAL_MS = 1000,
  MARKS_MAX = 128;

export class ConnectionPanel {
  #grid = null;
  #nextTableMs = 0;

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

  updateText(engine, { connection_states: states }) {
    const sampled = Object.fromEntries(
      states.slice(1).map((name, i) => [name, engine.connections?.[i] ?? null]),
    );
    const by = this.#grid ? this.#grid.totals : { ...sampled, recent: null };
    for (const cell of this.root.querySelectorAll("[data-count]"))
      setText(cell, format.count(by[cell.dataset.count] ?? null));
    this.#showUnread(engine.unread_connections ?? null);
    const open = this.#grid ? this.#grid.size : engine.connections_total;
    for (const place of this.root.closest("[data-conns-panel]")?.querySelectorAll("[data-conns-open]") ?? [])
      setText(place, format.count(open));
    if (!this.#grid) return;
    const canvas = this.root.querySelector("[data-grid]"),
      details = this.root.querySelector(".as-table");
    canvas.dataset.dots = String(this.#grid.size);
    if (details.open && performance.now() > this.#nextTableMs)
      this.#table(states.slice(1), details.querySelector("tbody"));
  }

  /** Show the requests that wait in the kernel: a mark each, beside the dots of what the engine knows. */
  #showUnread(unread) {
    setText(this.root.querySelector("[data-unread]"), format.count(unread));
    const marks = this.root.querySelector("[data-unread-marks]"),
      shown = Math.min(unread ?? 0, MARKS_MAX);
    marks.parentElement.hidden = !unread;
    if (marks.childElementCount !== shown)
      marks.replaceChildren(...Array.from({ length: shown }, () => document.createElement("i")));
  }

  #table(states, body) {
    this.#nextTableMs = performance.now() + TABLE_INTERVAL_MS;
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
