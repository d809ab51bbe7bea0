// Options of uPlot for a chart of the lab: axes in the greys of the tokens, lines in the hue of the model.
import { colourOf } from "../lib/canvas.js";
import { short } from "../lib/format.js";

const DASHES = { solid: [], dashed: [4, 2.5], ink: [2, 2] };
const AXIS_PX = 38,
  AXIS_UNIT_PX = 50,
  X_AXIS_PX = 24,
  TITLE_PX = 15,
  SIZE_MIN_PX = 80;

/** From 0 to a little above the highest value. */
const fromZero = (_, __, top) => [0, top > 0 ? top * 1.08 : 10];

function xAxis(axis, x, tone) {
  return {
    ...axis,
    size: X_AXIS_PX,
    space: 56,
    label: x.title ?? "Time (s)",
    values: x.values ?? ((_, ticks) => ticks.map(short)),
    splits: x.splits,
    grid: { show: false },
    ticks: { show: true, stroke: tone("--line-strong"), width: 1, size: 3 },
  };
}

function yAxis(axis, y, isEmpty) {
  return {
    ...axis,
    size: y.values ? AXIS_UNIT_PX : AXIS_PX,
    space: 34,
    label: y.title,
    splits: y.splits,
    filter: (_, ticks) => ticks,
    values: (u, ticks) => (isEmpty() ? ticks.map(() => "") : (y.values?.(u, ticks) ?? ticks.map(short))),
  };
}

function rightAxis(axis, title) {
  return {
    ...axis,
    scale: "right",
    side: 1,
    size: AXIS_PX,
    label: title,
    grid: { show: false },
    values: (_, ticks) => ticks.map(short),
  };
}

/** The points between two gaps, which no line shows. A line bridges undefined. */
function lonePoints({ data }, n) {
  const isGap = (i) => data[n][i] === null || !(i in data[n]);
  return [...data[n].keys()].filter((i) => data[n][i] !== undefined && isGap(i - 1) && isGap(i + 1));
}

function line({ label, kind = "solid", model, tone: role, width, fill, scale = "y" }, tone) {
  return {
    label,
    scale,
    width: width ?? (kind === "solid" ? 2 : 1.5),
    dash: DASHES[kind],
    points: { show: false, filter: lonePoints },
    spanGaps: false,
    stroke: tone(role ?? (kind === "ink" ? "--text-3" : "--model"), model),
    ...(fill ? { fill: tone(fill) } : {}),
  };
}

/** `spec` is that of a Chart; `isEmpty()`: whether there is no data; the axes have no tick labels then. */
export function uplotOptions(plot, { series, x = {}, y = {}, right = {}, wash, sync, drag }, isEmpty, hooks) {
  const tone = (role, model) => () => colourOf(plot, role, model),
    hasRight = series.some(({ scale }) => scale === "right");
  const axis = {
    stroke: tone("--text-3"),
    font: `11px ${getComputedStyle(plot).fontFamily}`,
    labelFont: `11px ${getComputedStyle(plot).fontFamily}`,
    labelSize: TITLE_PX,
    labelGap: 0,
    grid: { stroke: tone("--line"), width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    width: Math.max(SIZE_MIN_PX, plot.clientWidth),
    height: Math.max(SIZE_MIN_PX, plot.clientHeight),
    padding: [8, hasRight ? 0 : 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: drag ?? { x: false, y: false },
      points: { size: 6 },
      ...(sync ? { sync: { key: sync } } : {}),
    },
    scales: {
      x: { time: false, range: x.range },
      y: { distr: y.log ? 3 : 1, range: y.range ?? fromZero },
      ...(hasRight ? { right: { range: fromZero } } : {}),
    },
    axes: [
      xAxis(axis, x, tone),
      yAxis(axis, y, isEmpty),
      ...(hasRight ? [rightAxis(axis, right.title)] : []),
    ],
    series: [{}, ...series.map((each) => line(each, tone))],
    bands: wash ? [{ series: wash, fill: tone("--wash") }] : [],
    hooks,
  };
}
