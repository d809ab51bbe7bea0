// The list of live charts: the series of each for one engine, and for several side by side. A value covers
// half a second.
import * as format from "../lib/format.js";
import { sortRoles, roleTitle } from "../lib/thread-roles.js";

export const IN_USE = ["handling", "writing", "reading", "queued"];
const AT_WORK = ["handling", "blocked", "writing", "reading", "accepting"];
const KINDS = ["solid", "dashed", "ink"];
const ms = (v) => format.latency(v * 1000);
const cumulate = (values) => {
  let sum = 0;
  return values.map((v) => (v === null || v === undefined ? null : (sum += v))).reverse();
};
const ownShare = (n) => (data, at) => (data[n][at] === null ? null : data[n][at] - (data[n + 1]?.[at] ?? 0));

/** Stacked areas: the sum of all comes first, so that each area is drawn over the larger one. */
function stack(names) {
  const shown = [...names].reverse();
  return shown.map((label, i) => ({
    label,
    tone: `--state-${label}`,
    fill: `--state-${label}`,
    width: 0,
    value: ownShare(i + 1),
  }));
}

/** One line per role, in the order in which a request meets them. */
const linePerRole = (roles) =>
  sortRoles(roles).map((role, i) => ({ label: roleTitle(role), kind: KINDS[i % KINDS.length] }));

/** One line per engine: the hue is the model, a second engine of a model is dashed. */
function linePerEngine(engines) {
  const seen = new Map();
  return engines.map(({ id, model }) => {
    const n = seen.get(model) ?? 0;
    seen.set(model, n + 1);
    return { label: id, model, kind: KINDS[Math.min(n, 1)] };
  });
}

export const CHARTS = {
  rate: {
    title: "Throughput (req/s)",
    format: format.rate,
    one: () => [{ label: "achieved" }, { label: "offered", kind: "ink" }],
    of: (e) => [e.rate, e.offered],
    many: (e) => e.rate,
  },
  latency: {
    title: "Latency (ms)",
    format: ms,
    wash: [1, 2],
    one: () => [
      { label: "p99 response" },
      { label: "p99 service", kind: "dashed" },
      { label: "p50 service", kind: "ink" },
    ],
    of: (e) => [e.response, e.service, e.p50],
    many: (e) => e.response,
    empty: "No latency yet. Run a load test.",
  },
  states: {
    title: "Connections",
    format: format.count,
    one: () => stack(IN_USE),
    of: (e) => cumulate(IN_USE.map((name) => e.connections?.[name])),
    many: (e) => (e.connections ? IN_USE.reduce((sum, name) => sum + e.connections[name], 0) : null),
  },
  threads: {
    title: "Threads",
    format: format.count,
    one: () => stack(AT_WORK),
    of: (e) => cumulate(AT_WORK.map((name) => (e.threads ? (e.threads[name] ?? 0) : null))),
    many: (e) => (e.threads ? AT_WORK.reduce((sum, name) => sum + (e.threads[name] ?? 0), 0) : null),
  },
  cpu: {
    title: "CPU (% of one core)",
    format: format.percent,
    one: ({ roles }) => linePerRole(roles),
    of: (e, { roles }) => sortRoles(roles).map((role) => e.cpuByRole?.[role] ?? null),
    many: (e) => e.cpu,
  },
  memory: {
    title: "RSS (MiB)",
    format: (v) => format.bytes(v * 1048576),
    one: () => [{ label: "RSS" }],
    of: (e) => [e.rss],
    many: (e) => e.rss,
  },
  switches: {
    title: "Context switches/s",
    format: format.rate,
    one: () => [{ label: "switches/s" }],
    of: (e) => [e.switches],
    many: (e) => e.switches,
  },
  lag: {
    title: "Longest iteration (ms)",
    format: ms,
    one: () => [{ label: "longest iteration" }],
    of: (e) => [e.lag],
    many: (e) => e.lag,
    empty: "Requires thread tracing.",
  },
  queue: {
    title: "Queue depth",
    rightTitle: "Wait (ms)",
    format: (v, i) => (i === 1 ? ms(v) : format.count(v)),
    one: () => [{ label: "depth" }, { label: "wait", kind: "dashed", scale: "right" }],
    of: (e) => [e.depth, e.wait],
    many: (e) => e.depth,
  },
};

/** The series of a chart, and `read(point)`, which returns their values at a point. */
export function seriesOf(name, context) {
  const chart = CHARTS[name],
    { engines } = context;
  if (engines.length > 1)
    return {
      series: linePerEngine(engines),
      read: (point) =>
        engines.map(({ id }) => (point.engines[id] ? (chart.many(point.engines[id]) ?? null) : null)),
    };
  const series = chart.one(context),
    nothing = series.map(() => null),
    id = engines[0]?.id;
  return {
    series,
    wash: chart.wash,
    read: (point) =>
      point.engines[id] ? chart.of(point.engines[id], context).map((v) => v ?? null) : nothing,
  };
}
