// The page of a run: live charts while it is in progress, then the charts of the result. htmx swaps one for
// the other.
import { Chart } from "../charts/chart.js";
import * as format from "../lib/format.js";
import { live } from "../live/live-socket.js";
import { LiveCharts } from "../charts/live-charts.js";
import {
  latencyAxis,
  ms,
  msText,
  nines,
  percentileAxis,
  curveExtent,
  percentileTable,
} from "../charts/percentile-axis.js";
import { seriesTimes } from "../charts/series-times.js";
import { updateRunProgress } from "../live/run-progress.js";

async function json(url) {
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

const panel = (root, name) => root.querySelector(`[data-chart="${name}"]`);

function drawPercentiles(root, { service, response, cut }) {
  const { last, end } = curveExtent(service, cut);
  const chart = new Chart(panel(root, "percentiles"), {
    x: percentileAxis(end),
    y: latencyAxis,
    wash: [1, 2],
    format: msText,
    series: [{ label: "response" }, { label: "service", kind: "dashed" }],
  });
  chart.set(percentileTable([response, service], last), {
    bands: [{ from: nines(last), to: end, label: "" }],
  });
}

function drawOverTime(root, series) {
  const { columns, rows } = series;
  const column = (name) => {
    const i = columns.indexOf(name);
    return rows.map((row) => row[i] ?? null);
  };
  const { ends: xs, warmUpS } = seriesTimes(series, Number(root.dataset.measuredS));
  const bands = warmUpS ? [{ from: 0, to: warmUpS, label: "warm-up" }] : [];
  const marks = JSON.parse(root.dataset.marks ?? "[]");
  const x = { range: () => [0, xs.at(-1) ?? 1], heading: "end (s)" };
  const service = column("service_p99_us").map(ms),
    response = column("response_p99_us").map(ms);
  new Chart(panel(root, "rate"), {
    x,
    y: { title: "Throughput (req/s)" },
    format: format.rate,
    series: [{ label: "achieved" }, { label: "offered", kind: "ink" }],
  }).set([xs, column("achieved_per_s"), column("offered_per_s")], { bands, marks });
  // A second with few responses has no p99: show the maximum, which reveals a stall or a queue.
  const few = response.every((v) => v === null),
    maxima = ["response_max_us", "service_max_us"].map((name) => column(name).map(ms));
  if (few) panel(root, "p99").querySelector("h2").textContent = "Max latency per second";
  new Chart(panel(root, "p99"), {
    x,
    format: msText,
    wash: [1, 2],
    y: { title: "Latency (ms)" },
    series: [{ label: "response" }, { label: "service", kind: "dashed" }],
  }).set([xs, ...(few ? maxima : [response, service])], { bands, marks });
  new Chart(panel(root, "load"), {
    x,
    y: { title: "Count" },
    format: format.count,
    series: [{ label: "connections" }, { label: "threads", kind: "dashed" }],
  }).set([xs, column("connections"), column("threads")], { bands, marks });
  new Chart(panel(root, "cpu"), {
    x,
    y: { title: "CPU (% of one core)" },
    format: format.percent,
    series: [{ label: "engine CPU" }],
  }).set([xs, column("cpu_percent")], { bands, marks });
}

/** Show a text instead of a chart. */
function showEmptyText(root, name, textContent) {
  const empty = panel(root, name)?.querySelector("[data-plot-empty]");
  if (empty) Object.assign(empty, { hidden: false, textContent });
}

function showFetchError(root, names) {
  for (const name of names) showEmptyText(root, name, "Could not load the data. Reload the page to retry.");
}

let charts = null,
  shownRoot = null;

async function showResult(root) {
  if (root.dataset.percentiles && panel(root, "percentiles"))
    json(root.dataset.percentiles)
      .then((data) => drawPercentiles(root, data))
      .catch(() => showFetchError(root, ["percentiles"]));
  if (root.dataset.series && panel(root, "load"))
    json(root.dataset.series)
      .then((data) => drawOverTime(root, data))
      .catch(() => showFetchError(root, ["rate", "p99", "load", "cpu"]));
}

function arrange() {
  const root = document.querySelector("#run-main");
  if (root && root === shownRoot) return; // only a part was swapped, such as the trials of a search
  shownRoot = root;
  charts?.remove();
  charts = null;
  if (!root || root.dataset.runState === undefined) return;
  if (root.querySelector("[data-live-charts]")) charts = new LiveCharts(root);
  else showResult(root);
}

live.subscribe({ interval_ms: 250 });
live.onFrame((frame) => {
  const root = document.querySelector("#run-main");
  if (charts && frame.run && String(frame.run.id) === root.dataset.run && frame.engines[frame.run.engine])
    charts.update(
      frame,
      [{ id: frame.run.engine, model: frame.engines[frame.run.engine].model }],
      live.hello,
    );
});
document.addEventListener("htmx:after:swap", arrange);
updateRunProgress();
arrange();
