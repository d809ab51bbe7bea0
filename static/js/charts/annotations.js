// What is drawn over a chart: hatched bands of time, and marks of what happened.
import { colourOf, hatchPattern } from "../lib/canvas.js";

/** A hatched band from one value of x to another, with its label if there is room. */
export function drawBand(u, from, to, label) {
  const { ctx } = u,
    [left, right] = [
      Math.max(u.bbox.left, u.valToPos(from, "x", true)),
      Math.min(u.bbox.left + u.bbox.width, u.valToPos(to, "x", true)),
    ];
  if (!(right > left)) return;
  ctx.save();
  ctx.fillStyle = hatchPattern(ctx, colourOf(u.root, "--line-strong"), colourOf(u.root, "--surface"));
  ctx.globalAlpha = 0.6;
  ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.globalAlpha = 1;
  if (label && right - left > 60 * devicePixelRatio) {
    ctx.font = u.axes[0].font[0];
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    const w = ctx.measureText(label).width;
    ctx.fillStyle = colourOf(u.root, "--surface");
    ctx.fillRect(left, u.bbox.top, w + 8 * devicePixelRatio, 15 * devicePixelRatio);
    ctx.fillStyle = colourOf(u.root, "--text-3");
    ctx.fillText(label, left + 3 * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  }
  ctx.restore();
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

/** Marks as [{ at, label }]; a label that would cover the one before it is left out. */
export function drawMarks(u, marks) {
  u.ctx.save();
  Object.assign(u.ctx, { font: u.axes[0].font[0], textAlign: "left", textBaseline: "top" });
  let free = -Infinity;
  for (const { at, label } of marks) free = drawMark(u, at, label, free);
  u.ctx.restore();
}
