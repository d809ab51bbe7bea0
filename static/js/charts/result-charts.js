// The charts of a run that has ended: latency by percentile, and what happened in each second.
import { Chart } from "./chart.js";
import { addLimits, rangeWithLimits } from "./limit-lines.js";
import {
  curveExtent,
  latencyAxis,
  ms,
  msText,
  nines,
  percentileAxis,
  percentileTable,
} from "./percentile-axis.js";
import { selectsRange } from "./range-select.js";
import { seriesTimes } from "./series-times.js";
import * as format from "../lib/format.js";

const CLOCKS = [{ label: "response" }, { label: "service", kind: "dashed" }];
/** From 0 to a little above the highest value, as of other charts. */
const fromZero = (_, __, top) => [0, top > 0 ? top * 1.08 : 10];

export const panel = (root, name) => root.querySelector(`[data-chart="${name}"]`);

/** The limits of a run's charts: [{ value, text, statistic, quantile }], values in ms. */
const limitsOf = (root) =>
  JSON.parse(root.dataset.limits ?? "[]").map(({ us, ...rest }) => ({ value: ms(us), ...rest }));

/** Draw one chart. Returns { name, chart, spec, bands, marks, limits }, of which a file can be written. */
function draw(root, name, spec, data, { bands = [], marks = [], limits = [] }) {
  const chart = new Chart(panel(root, name), spec);
  chart.set(data, { bands, marks });
  if (limits.length) addLimits(chart.plot, limits);
  return { name, chart, spec, bands, marks, limits };
}

export function drawPercentiles(root, { service, response, cut }) {
  const { last, end } = curveExtent(service, cut),
    limits = limitsOf(root).filter(({ quantile }) => quantile !== null);
  const spec = {
    x: percentileAxis(end),
    y: { ...latencyAxis, range: rangeWithLimits(latencyAxis.range, limits, true) },
    wash: [1, 2],
    format: msText,
    series: CLOCKS,
  };
  const bands = [{ from: nines(last), to: end, label: "" }];
  return [draw(root, "percentiles", spec, percentileTable([response, service], last), { bands, limits })];
}

/** p99 of each second. A second with few responses has none: the maximum then shows a stall or a queue. */
function latency(root, column) {
  const p99 = ["response_p99_us", "service_p99_us"].map((name) => column(name).map(ms)),
    few = p99[0].every((v) => v === null),
    maxima = ["response_max_us", "service_max_us"].map((name) => column(name).map(ms));
  if (few) panel(root, "p99").querySelector("h2").textContent = "Max latency per second";
  const shown = few ? ["p(99)", "max"] : ["p(99)"],
    limits = limitsOf(root).filter(({ statistic }) => shown.includes(statistic));
  return { data: few ? maxima : p99, limits };
}

export function drawOverTime(root, series) {
  const { columns, rows } = series;
  const column = (name) => {
    const i = columns.indexOf(name);
    return rows.map((row) => row[i] ?? null);
  };
  const { ends: xs, warmUpS } = seriesTimes(series, Number(root.dataset.measuredS)),
    bands = warmUpS ? [{ from: 0, to: warmUpS, label: "warm-up" }] : [],
    marks = JSON.parse(root.dataset.marks ?? "[]"),
    time = { x: { range: () => [0, xs.at(-1) ?? 1], heading: "end (s)" }, drag: selectsRange },
    over = { bands, marks },
    { data, limits } = latency(root, column);
  const rate = {
    ...time,
    y: { title: "Throughput (req/s)" },
    format: format.rate,
    series: [{ label: "achieved" }, { label: "offered", kind: "ink" }],
  };
  const p99 = {
    ...time,
    y: { title: "Latency (ms)", range: rangeWithLimits(fromZero, limits, false) },
    format: msText,
    wash: [1, 2],
    series: CLOCKS,
  };
  const load = {
    ...time,
    y: { title: "Count" },
    format: format.count,
    series: [{ label: "connections" }, { label: "threads", kind: "dashed" }],
  };
  const cpu = {
    ...time,
    y: { title: "CPU (% of one core)" },
    format: format.percent,
    series: [{ label: "engine CPU" }],
  };
  return [
    draw(root, "rate", rate, [xs, column("achieved_per_s"), column("offered_per_s")], over),
    draw(root, "p99", p99, [xs, ...data], { ...over, limits }),
    draw(root, "load", load, [xs, column("connections"), column("threads")], over),
    draw(root, "cpu", cpu, [xs, column("cpu_percent")], over),
  ];
}
