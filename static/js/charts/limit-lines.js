// Limits of latency as labelled horizontal lines over a chart: thresholds, and the objective of a search.
import { colourOf } from "../lib/canvas.js";

// The axis is extended to a limit that is at most this far from the values: a distant one would flatten them.
const REACH = { linear: 4, log: 30 };
const LABEL_PX = 14,
  GAP_PX = 8;

/** A range function of uPlot that includes the limits [{ value, text }] that are near the values. */
export function rangeWithLimits(range, limits, isLog) {
  const reach = isLog ? REACH.log : REACH.linear;
  return (u, low, top) => {
    const near = limits
      .map(({ value }) => value)
      .filter((v) => v <= reach * top && (!isLog || v * reach >= low));
    return range(u, Math.min(low, ...(isLog ? near : [])), Math.max(top, ...near));
  };
}

/**
 * Where the limits are drawn: [{ text, left, top, wide, line }] in CSS pixels of the plot, from its top left
 * corner. `line`: the height of the line; null: the limit is beyond the axis, and its label has an arrow.
 * `widthOf(text)`: the width of a label.
 */
export function placeLimits(u, limits, { width, height }, widthOf) {
  const placed = [];
  for (const { value, text } of limits) {
    const { min, max } = u.scales.y,
      beyond = value > max ? "↑ " : value < min ? "↓ " : "",
      y = value > max ? 0 : value < min ? height : u.valToPos(value, "y");
    const top = y < LABEL_PX + 2 ? y + 2 : y - LABEL_PX,
      label = beyond + text,
      wide = widthOf(label);
    let left = width - wide - GAP_PX;
    // Labels at one height stand side by side, from the right.
    for (const other of placed)
      if (Math.abs(other.top - top) < LABEL_PX) left = Math.min(left, other.left - wide - GAP_PX);
    placed.push({ text: label, left: Math.max(0, left), top, wide, line: beyond ? null : y });
  }
  return placed;
}

/** Draw the limits over the lines of a chart, now and whenever it is drawn again. */
export function addLimits(u, limits) {
  u.hooks.draw.push(() => drawLimits(u, limits));
  u.redraw(false);
}

function drawLimits(u, limits) {
  const { ctx } = u,
    ratio = devicePixelRatio,
    { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.translate(left, top);
  ctx.scale(ratio, ratio);
  Object.assign(ctx, { font: fontOf(u), textAlign: "left", textBaseline: "top" });
  const size = { width: width / ratio, height: height / ratio };
  for (const each of placeLimits(u, limits, size, (text) => ctx.measureText(text).width)) {
    if (each.line !== null) {
      Object.assign(ctx, { strokeStyle: colourOf(u.root, "--text-2"), lineWidth: 1.5 });
      ctx.setLineDash([7, 4]);
      ctx.beginPath();
      ctx.moveTo(0, each.line);
      ctx.lineTo(size.width, each.line);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    Object.assign(ctx, { strokeStyle: colourOf(u.root, "--surface"), lineWidth: 4, lineJoin: "round" });
    ctx.strokeText(each.text, each.left, each.top + 1); // a halo: the label covers as little as possible
    ctx.fillStyle = colourOf(u.root, "--text");
    ctx.fillText(each.text, each.left, each.top + 1);
  }
  ctx.restore();
}

const fontOf = (u) => `600 11px ${getComputedStyle(u.root).fontFamily}`;
