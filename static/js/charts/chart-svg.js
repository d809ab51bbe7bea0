// A chart of uPlot as SVG: its axes, bands, lines, marks and limits, with the look that the canvas has now.
import { svgElement } from "../diagram/svg.js";
import { placeLimits } from "./limit-lines.js";
import { hexOf, textWidth } from "./svg-frame.js";

const DASHES = { solid: "", dashed: "4 2.5", ink: "2 2" };
const TICK_PX = 11,
  BAND_LABEL_PX = 15;

/** `drawn`: what result-charts.js returns for a chart. Returns { body, width, height }. */
export function chartSvg({ chart, spec, bands, marks, limits }) {
  const u = chart.plot,
    box = plotBox(u),
    tone = (role) => hexOf(u.root, role),
    plot = svgElement("g", { transform: `translate(${box.left} ${box.top})` });
  plot.append(
    ...bands.flatMap((band) => bandShapes(u, box, band, tone)),
    ...washShapes(u, spec, tone),
    ...spec.series.flatMap((each, n) => lineShapes(u, each, n, tone)),
    ...bands.flatMap((band) => bandLabel(u, box, band, tone)),
    ...marks.flatMap((mark) => markShapes(u, box, mark, tone)),
    ...limitShapes(u, box, limits, tone),
  );
  const body = svgElement(
    "g",
    {},
    hatching(tone),
    ...u.axes.flatMap((_, n) => axisShapes(u, box, n, tone)),
    plot,
  );
  return { body, width: u.width, height: u.height };
}

/** The sample of a line for the legend, 18 px wide. */
export const lineSample = (u, { kind = "solid" }) =>
  svgElement("path", { d: "M0 0H16", ...stroke(kind, (role) => hexOf(u.root, role)) });

const stroke = (kind, tone) => ({
  fill: "none",
  stroke: tone(kind === "ink" ? "--text-3" : "--model"),
  "stroke-width": kind === "solid" ? 2 : 1.5,
  "stroke-dasharray": DASHES[kind],
});

/** The plot without its axes, in CSS pixels. */
function plotBox({ bbox }) {
  const [left, top, width, height] = [bbox.left, bbox.top, bbox.width, bbox.height].map(
    (v) => v / devicePixelRatio,
  );
  return { left, top, width, height };
}

const label = (content, x, y, more) => svgElement("text", { x, y, "font-size": TICK_PX, ...more }, content);

/** Grid, tick labels and title of an axis; uPlot keeps the ticks that it has drawn in _splits and _values. */
function axisShapes(u, box, n, tone) {
  const axis = u.axes[n],
    isX = n === 0,
    fill = tone("--text-3"),
    ticks = (axis._splits ?? []).map((at, i) => [u.valToPos(at, isX ? "x" : axis.scale), axis._values[i]]);
  const parts = ticks
    .filter(([at]) => at >= -0.5 && at <= (isX ? box.width : box.height) + 0.5)
    .flatMap(([at, text]) => (isX ? xTick : yTick)(box, at, text ?? "", tone));
  const bottom = box.top + box.height + 36,
    middle = box.top + box.height / 2;
  const place = isX
    ? { x: box.left + box.width / 2, y: bottom }
    : { x: 12, y: middle, transform: `rotate(-90 12 ${middle})` };
  return [...parts, label(axis.label, place.x, place.y, { ...place, fill, "text-anchor": "middle" })];
}

function xTick(box, at, text, tone) {
  const [x, y] = [box.left + at, box.top + box.height];
  return [
    svgElement("path", { d: `M${x} ${y}v3`, stroke: tone("--line-strong") }),
    label(text, x, y + 18, { fill: tone("--text-3"), "text-anchor": "middle" }),
  ];
}

function yTick(box, at, text, tone) {
  const y = box.top + at;
  return [
    svgElement("path", { d: `M${box.left} ${y}h${box.width}`, stroke: tone("--line") }),
    label(text, box.left - 6, y + 4, { fill: tone("--text-3"), "text-anchor": "end" }),
  ];
}

function hatching(tone) {
  const line = svgElement("path", { d: "M0 0V4", stroke: tone("--line-strong") });
  const size = { width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return svgElement("defs", {}, svgElement("pattern", { id: "hatch", ...size }, line));
}

function bandEdges(u, box, { from, to }) {
  const [left, right] = [from, to].map((v) => Math.min(box.width, Math.max(0, u.valToPos(v, "x"))));
  return { left, right };
}

function bandShapes(u, box, band) {
  const { left, right } = bandEdges(u, box, band);
  if (!(right > left)) return [];
  return [
    svgElement("rect", {
      x: left,
      width: right - left,
      height: box.height,
      fill: "url(#hatch)",
      opacity: 0.6,
    }),
  ];
}

function bandLabel(u, box, band, tone) {
  const { left, right } = bandEdges(u, box, band);
  if (!band.label || right - left < textWidth(band.label, TICK_PX) + 8) return [];
  return [
    label(band.label, left + 4, box.height - BAND_LABEL_PX / 3, { fill: tone("--text-3"), ...halo(tone) }),
  ];
}

const halo = (tone) => ({ stroke: tone("--surface"), "stroke-width": 4, "paint-order": "stroke" });

/** The points of a series, in pieces between its gaps; a line bridges undefined. */
function pieces(u, n, scale = "y") {
  const found = [[]];
  u.data[0].forEach((x, i) => {
    const value = u.data[n + 1][i];
    if (value === null) found.push([]);
    else if (value !== undefined) found.at(-1).push([u.valToPos(x, "x"), u.valToPos(value, scale)]);
  });
  return found.filter((points) => points.length);
}

const pathOf = (points) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function lineShapes(u, { kind = "solid", scale }, n, tone) {
  // A single point is a line without length: round ends make it visible.
  return pieces(u, n, scale).map((points) =>
    svgElement("path", {
      d: pathOf(points) + (points.length === 1 ? "h0" : ""),
      ...stroke(kind, tone),
      ...(points.length === 1
        ? { "stroke-linecap": "round", "stroke-width": 5, "stroke-dasharray": "" }
        : {}),
    }),
  );
}

/** The area between two series, where both have values at the same points. */
function washShapes(u, { wash }, tone) {
  if (!wash) return [];
  const [upper, lower] = wash.map((n) => pieces(u, n - 1));
  return upper
    .map((points, i) => [points, lower[i] ?? []])
    .filter(([points, others]) => points.length === others.length)
    .map(([points, others]) =>
      svgElement("path", { d: `${pathOf([...points, ...others.toReversed()])}Z`, fill: tone("--wash") }),
    );
}

function markShapes(u, box, { at, label: text }, tone) {
  const x = u.valToPos(at, "x");
  if (x < 0 || x > box.width) return [];
  const fill = tone("--text-3"),
    isNearEnd = x + textWidth(text, TICK_PX) + 8 > box.width;
  return [
    svgElement("path", { d: `M${x} 0V${box.height}`, stroke: fill }),
    label(text, x + (isNearEnd ? -4 : 4), 11, {
      fill,
      "text-anchor": isNearEnd ? "end" : "start",
      ...halo(tone),
    }),
  ];
}

function limitShapes(u, box, limits, tone) {
  return placeLimits(u, limits, box, (text) => textWidth(text, TICK_PX, 600)).flatMap(
    ({ text, left, top, line }) => [
      ...(line === null
        ? []
        : [
            svgElement("path", {
              d: `M0 ${line}H${box.width}`,
              stroke: tone("--text-2"),
              "stroke-width": 1.5,
              "stroke-dasharray": "7 4",
            }),
          ]),
      label(text, left, top + 10, { fill: tone("--text"), "font-weight": 600, ...halo(tone) }),
    ],
  );
}
