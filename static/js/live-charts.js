// Three charts of the last minute of one engine: throughput, latency of the run in progress, connections in use.
import { Chart } from "./charts.js";
import * as format from "./format.js";

const STEP_S = 0.5, WINDOW_S = 60;
const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
const ms = (us) => (us === null || us === undefined ? null : us / 1000);
const ago = { range: () => [-WINDOW_S, 0], values: (_, ticks) => ticks.map((v) => (v ? `−${-v} s` : "now")), text: (v) => `${(-v).toFixed(0)} s ago` };
const STATES = ["handling", "writing", "reading", "queued"];

export class LiveCharts {
  #engine = null; #points = []; #step = null; #rates = []; #charts; #names = []; #runSeen = null;

  constructor(root) {
    const panel = (name) => root.querySelector(`[data-chart="${name}"]`);
    const part = (n) => (data, at) => data[n][at] === null ? null : data[n][at] - (data[n + 1]?.[at] ?? 0);
    this.#charts = {
      rate: new Chart(panel("rate"), { x: ago, format: format.rate, series: [{ label: "achieved" }, { label: "offered", kind: "ink" }] }),
      latency: new Chart(panel("latency"), { x: ago, format: (v) => format.latency(v * 1000), wash: [1, 2], series: [{ label: "p99 response" }, { label: "p99 service", kind: "dashed" }, { label: "p50", kind: "ink" }] }),
      states: new Chart(panel("states"), { x: ago, format: format.count, series: [
        { label: "queued", tone: "--text-3", fill: "--wash", width: 1, value: part(1) }, { label: "reading", tone: "--state-reading", fill: "--state-reading", width: 0, value: part(2) },
        { label: "writing", tone: "--state-writing", fill: "--state-writing", width: 0, value: part(3) }, { label: "handling", tone: "--state-handling", fill: "--state-handling", width: 0, value: part(4) }] }),
    };
  }

  /** Before there is anything to draw: say what would make it appear. */
  rest(text) {
    this.#reset(null);
    for (const chart of Object.values(this.#charts)) chart.rest(text);
  }

  remove() { for (const chart of Object.values(this.#charts)) chart.remove(); }

  take(frame, id, names) {
    if (id !== this.#engine) this.#reset(id);
    this.#names = names;
    const engine = frame.engines[id], step = Math.floor(frame.t_s / STEP_S);
    if (!engine) return;
    if (engine.requests_per_s !== null) this.#rates.push(engine.requests_per_s);
    if (this.#step === null) this.#step = step;
    if (step === this.#step) return;
    if (step - this.#step > 3) this.#points.push(this.#gap(this.#step * STEP_S + STEP_S));   // seconds without a frame are not bridged
    this.#points.push(this.#point(frame, engine));
    this.#points = this.#points.filter(({ t }) => t > frame.t_s - WINDOW_S - 1);
    this.#step = step;
    this.#rates = [];
    requestAnimationFrame(() => this.#draw(frame));
  }

  #reset(id) {
    this.#engine = id;
    this.#points = [];
    this.#rates = [];
    this.#step = null;
    this.#runSeen = null;
  }

  #gap(t) {
    return { t, rate: null, offered: null, response: null, service: null, p50: null, states: [null, null, null, null] };
  }

  #point(frame, engine) {
    const run = frame.run && String(frame.run.engine) === this.#engine ? frame.run : null;
    const by = Object.fromEntries(this.#names.map((name, i) => [name, engine.connections?.[i - 1] ?? 0]));
    let sum = 0;
    const states = STATES.map((name) => (sum += by[name] ?? 0)).reverse();
    if (run && run.state !== "queued") this.#runSeen = { from: frame.t_s - run.elapsed_s, to: frame.t_s - run.elapsed_s + run.warmup_s };
    return { t: frame.t_s, rate: mean(this.#rates), offered: run?.offered_per_s ?? null, response: ms(run?.response_p99_us ?? run?.p99_us), service: ms(run?.p99_us), p50: ms(run?.p50_us), states };
  }

  #draw(frame) {
    const now = frame.t_s, xs = this.#points.map(({ t }) => Math.min(0, t - now));
    const column = (read) => this.#points.map(read);
    const warm = this.#runSeen && this.#runSeen.to > this.#runSeen.from ? [{ from: this.#runSeen.from - now, to: Math.min(0, this.#runSeen.to - now), label: "warm-up" }] : [];
    const latency = [column((p) => p.response), column((p) => p.service), column((p) => p.p50)];
    this.#charts.rate.set([xs, column((p) => p.rate), column((p) => p.offered)], { bands: warm });
    this.#charts.latency.set([xs, ...latency], { bands: warm, empty: latency[1].some((v) => v !== null) ? "" : "Latency is measured by a run: start one." });
    this.#charts.states.set([xs, ...STATES.map((_, i) => column((p) => p.states[i]))], { bands: warm });
  }
}
