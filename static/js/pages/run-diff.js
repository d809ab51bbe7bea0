// The diff of two runs: charts of latency by percentile (response and service time) and of throughput.
import { Chart } from "../charts/chart.js";
import * as format from "../lib/format.js";
import {
  latencyAxis,
  msText,
  percentileAxis,
  curveExtent,
  percentileTable,
} from "../charts/percentile-axis.js";
import { seriesTimes } from "../charts/series-times.js";
import { ROOT_PATH } from "../lib/dom.js";

const root = document.querySelector("[data-diff]");
const panel = (name) => root.querySelector(`[data-chart="${name}"]`);

async function fetchBoth(part) {
  const answers = await Promise.all(
    [root.dataset.a, root.dataset.b].map((id) => fetch(`${ROOT_PATH}/api/v1/runs/${id}/${part}`)),
  );
  if (!answers.every((answer) => answer.ok)) throw new Error(part);
  return Promise.all(answers.map((answer) => answer.json()));
}

function drawPercentiles([a, b]) {
  const last = Math.max(curveExtent(a.service, a.cut).last, curveExtent(b.service, b.cut).last);
  const within = (curve, cut) => curve.filter(([q]) => q <= (cut ?? 1));
  const curves = [
    within(a.response, a.cut),
    within(a.service, a.cut),
    within(b.response, b.cut),
    within(b.service, b.cut),
  ];
  const chart = new Chart(panel("diff-percentiles"), {
    x: percentileAxis(curveExtent(a.service, last).end),
    y: latencyAxis,
    format: msText,
    series: [
      { label: `run ${root.dataset.a} response` },
      { label: "service", kind: "dashed" },
      { label: `run ${root.dataset.b} response`, tone: "--other" },
      { label: "service", kind: "dashed", tone: "--other" },
    ],
  });
  chart.set(bridgeGaps(percentileTable(curves, last)));
}

/** Bridge points that only the other run has: the tails of two runs have different percentiles. */
function bridgeGaps([xs, ...columns]) {
  const end = (column) => column.findLastIndex((v) => v !== null);
  return [
    xs,
    ...columns.map((column) => column.map((v, i) => (v === null && i < end(column) ? undefined : v))),
  ];
}

function drawRates(pair) {
  const measuredS = JSON.parse(root.dataset.measuredS);
  const maps = pair.map((series, side) => {
    const { ends } = seriesTimes(series, measuredS[side]),
      rate = series.columns.indexOf("achieved_per_s");
    return new Map(series.rows.map((row, i) => [ends[i], row[rate]]));
  });
  const xs = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort((x, y) => x - y);
  const chart = new Chart(panel("diff-rate"), {
    x: { range: () => [0, xs.at(-1) ?? 1], heading: "end (s)" },
    y: { title: "Throughput (req/s)" },
    format: format.rate,
    series: [{ label: `run ${root.dataset.a}` }, { label: `run ${root.dataset.b}`, tone: "--other" }],
  });
  // Where only the other run has a row, its line is bridged (undefined). An unknown rate is a gap (null).
  chart.set([xs, ...maps.map((map) => xs.map((x) => map.get(x)))]);
}

function showFetchError(name) {
  Object.assign(panel(name).querySelector("[data-plot-empty]"), {
    hidden: false,
    textContent: "Could not load the data. Reload the page to retry.",
  });
}

if (panel("diff-percentiles")) {
  fetchBoth("percentiles")
    .then(drawPercentiles)
    .catch(() => showFetchError("diff-percentiles"));
  fetchBoth("series")
    .then(drawRates)
    .catch(() => showFetchError("diff-rate"));
}
