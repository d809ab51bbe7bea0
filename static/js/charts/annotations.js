// What is drawn over a chart: hatched bands of time, and marks of what happened.
import { colourOf, hatchPattern } from "../lib/canvas.js";

const bandEdges = ({ scales: { x }, valToPos }, { from, to }) =>
  [Math.max(from, x.min), Math.min(to, x.max)].map((v) => valToPos(v, "x", true));

/** Before the lines: a hatched band { from, to, label }. */
export function drawBand(u, band) {
  const { ctx } = u,
    [left, right] = bandEdges(u, band);
  if (!(right > left)) return;
  ctx.save();
  ctx.fillStyle = hatchPattern(ctx, colourOf(u.root, "--line-strong"), colourOf(u.root, "--surface"));
  ctx.globalAlpha = 0.6;
  ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.restore();
}

/** The label of a band at its bottom, if there is room. */
function drawBandLabel(u, band) {
  const { ctx } = u,
    [left, right] = bandEdges(u, band),
    top = u.bbox.top + u.bbox.height - 15 * devicePixelRatio,
    wide = ctx.measureText(band.label).width + 8 * devicePixelRatio;
  if (!band.label || right - left < wide) return;
  ctx.fillStyle = colourOf(u.root, "--surface");
  ctx.fillRect(left, top, wide, 15 * devicePixelRatio);
  ctx.fillStyle = colourOf(u.root, "--text-3");
  ctx.fillText(band.label, left + 4 * devicePixelRatio, top + 2 * devicePixelRatio);
}

function drawMark(u, at, label, free) {
  const { ctx } = u,
    x = Math.round(u.valToPos(at, "x", true)),
    wide = ctx.measureText(label).width + 8 * devicePixelRatio;
  if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return free;
  ctx.fillStyle = colourOf(u.root, "--text-3");
  ctx.fillRect(x, u.bbox.top, devicePixelRatio, u.bbox.height);
  if (x < free || x + wide > u.bbox.left + u.bbox.width) return free;
  ctx.fillText(label, x + 4 * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  return x + wide;
}

/** After the lines: labels of bands, and marks [{ at, label }]; no label covers another. */
export function drawLabels(u, bands, marks) {
  u.ctx.save();
  Object.assign(u.ctx, { font: u.axes[0].font[0], textAlign: "left", textBaseline: "top" });
  for (const band of bands) drawBandLabel(u, band);
  let free = -Infinity;
  for (const { at, label } of marks) free = drawMark(u, at, label, free);
  u.ctx.restore();
}
