// Axes of latency charts: percentiles with equal room for each nine, latencies on a logarithmic scale.
import * as format from "../lib/format.js";

const NAMED = [
  [0.5, "p50"],
  [0.9, "p90"],
  [0.99, "p99"],
  [0.999, "p99.9"],
  [0.9999, "p99.99"],
  [0.99999, "p99.999"],
];
export const nines = (quantile) => -Math.log10(Math.max(1e-9, 1 - quantile));
export const ms = (us) => (us === null || us === undefined ? null : us / 1000);
export const msText = (v) => format.latency(v * 1000);

/** The ticks of a logarithmic axis between two bounds: 1, 3, 10, 30 … */
function logTicks(low, top) {
  const steps = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(top)); e++)
    for (const n of [1, 3]) steps.push(n * 10 ** e);
  return steps.filter((v) => v >= low && v <= top);
}

/** The last quantile that is shown, and the end of the axis. */
export function curveExtent(service, cut) {
  const last = cut ?? Math.max(...service.map(([q]) => q).filter((q) => q < 1));
  return { last, end: Math.max(2.2, Math.ceil(nines(last) * 2 + 0.2) / 2) };
}

export function percentileAxis(end) {
  const shown = NAMED.filter(([q]) => nines(q) <= end + 0.01);
  return {
    range: () => [0, end],
    splits: () => shown.map(([q]) => nines(q)),
    values: () => shown.map(([, name]) => name),
    title: "Percentile",
    heading: "percentile",
    text: (x) => `p${+(100 * (1 - 10 ** -x)).toFixed(4)}`,
  };
}

export const latencyAxis = {
  title: "Latency (log scale)",
  log: true,
  splits: (_, __, low, top) => logTicks(low, top),
  values: (_, ticks) => ticks.map((v) => format.latencyTick(v * 1000)),
  range: (_, low, top) => [low > 0 ? low * 0.8 : 0.01, top > 0 ? top * 1.4 : 1],
};

/**
 * Curves [[quantile, µs] …] as the data of a chart: [xs, ms of each curve]; null where a curve has no
 * value.
 */
export function percentileTable(curves, last) {
  const maps = curves.map(
    (curve) => new Map(curve.filter(([q]) => q <= last && q < 1).map(([q, us]) => [nines(q), ms(us)])),
  );
  const xs = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort((a, b) => a - b);
  return [xs, ...maps.map((map) => xs.map((x) => (map.get(x) > 0 ? map.get(x) : null)))];
}
