// The connections of one engine: the grid, the numbers by state beside it, and the same as a table.
import * as format from "../lib/format.js";
import { setText } from "../lib/dom.js";
import { ConnectionGrid } from "./connection-grid.js";

// Share of the connections: below it the difference may be responses in flight.
const UNREAD_SHARE_MIN = 0.25;
const TABLE_INTERVAL_MS = 1000;

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

  /** `run`: the run that loads this engine, or null. */
  updateText(engine, { connection_states: states }, run) {
    const sampled = Object.fromEntries(
      states.slice(1).map((name, i) => [name, engine.connections?.[i] ?? null]),
    );
    const by = this.#grid ? this.#grid.totals : { ...sampled, recent: null };
    for (const cell of this.root.querySelectorAll("[data-count]"))
      setText(cell, format.count(by[cell.dataset.count] ?? null));
    this.#unread(by, run);
    if (!this.#grid) return;
    for (const place of this.root.closest("[data-conns-panel]")?.querySelectorAll("[data-conns-open]") ?? [])
      setText(place, format.count(this.#grid.size));
    const canvas = this.root.querySelector("[data-grid]"),
      details = this.root.querySelector(".as-table");
    canvas.dataset.dots = String(this.#grid.size);
    if (details.open && performance.now() > this.#nextTableMs)
      this.#table(states.slice(1), details.querySelector("tbody"));
  }

  /**
   * A connection with a request that the engine has not read yet is idle for the engine and in flight for
   * the client.
   */
  #unread(by, run) {
    const place = this.root.querySelector("[data-unread-requests]"),
      busy = by.reading + by.queued + by.handling + by.writing;
    const unread = run && this.#grid ? Math.min(run.in_flight - busy, by.idle + (by.recent ?? 0)) : 0;
    place.hidden = !unread || unread <= this.#grid.size * UNREAD_SHARE_MIN;
    if (!place.hidden)
      setText(
        place,
        `${format.count(unread)} of the idle connections have a request in the socket buffer ` +
          "that the engine has not read yet.",
      );
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
