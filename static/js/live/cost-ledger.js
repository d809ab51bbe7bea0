// The live cost per request of each running engine: 1 s means, weighted by requests.
import * as format from "../lib/format.js";
import { setText } from "../lib/dom.js";

const INTERVAL_US = 1e6;
const COSTS = [
  ["cpu_us_per_request", format.latency],
  ["io_calls_per_request", (v) => format.decimal(v, 2)],
  ["switches_per_request", (v) => format.decimal(v, 2)],
  ["queue_wait_us", format.latency],
];
const ALIVE = new Set(["ready", "degraded", "draining"]);

export class CostLedger {
  #panel;
  #body;
  #sums = new Map();
  #updatedAtUs = 0;

  constructor(panel) {
    [this.#panel, this.#body] = [panel, panel.querySelector("tbody")];
  }

  update(frame, tUs) {
    for (const [id, engine] of Object.entries(frame.engines)) this.#add(id, engine);
    if (tUs - this.#updatedAtUs < INTERVAL_US && tUs > this.#updatedAtUs) return;
    this.#updatedAtUs = tUs;
    const alive = Object.entries(frame.engines).filter(([, { state }]) => ALIVE.has(state));
    this.#panel.hidden = !alive.length;
    this.#rows(alive);
    this.#sums.clear();
  }

  #add(id, engine) {
    if (!(engine.requests_per_s > 0)) return;
    const sums = this.#sums.get(id) ?? new Map(COSTS.map(([name]) => [name, { cost: 0, weight: 0 }]));
    for (const [name, each] of sums) {
      if (engine[name] === null || engine[name] === undefined) continue;
      each.cost += engine[name] * engine.requests_per_s;
      each.weight += engine.requests_per_s;
    }
    this.#sums.set(id, sums);
  }

  #rows(alive) {
    const old = new Map([...this.#body.rows].map((row) => [row.dataset.engine, row]));
    for (const [id, engine] of alive) {
      const row = old.get(id) ?? this.#row(id, engine.model),
        sums = this.#sums.get(id);
      old.delete(id);
      const cells = [...row.cells].slice(1);
      setText(cells[0], format.rate(engine.requests_per_s));
      COSTS.forEach(([name, text], i) => {
        const each = sums?.get(name);
        setText(cells[i + 1], text(each?.weight ? each.cost / each.weight : null));
      });
      setText(
        cells[5],
        engine.connections_total && engine.rss_bytes
          ? format.bytes(engine.rss_bytes / engine.connections_total)
          : "–",
      );
    }
    for (const row of old.values()) row.remove();
  }

  #row(id, model) {
    const row = this.#body.insertRow(),
      name = document.createElement("th"),
      marker = document.createElement("i");
    [row.dataset.engine, row.dataset.model, name.scope, marker.className] = [id, model, "row", "marker"];
    name.append(marker, id);
    row.append(name);
    for (let i = 0; i < COSTS.length + 2; i++) row.insertCell().className = "num";
    return row;
  }
}
