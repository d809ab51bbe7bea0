// A sparkline: one number over the last minute, without axes. The end has a dot, missing values are gaps.
import { prepareCanvas, coloursOf } from "../lib/canvas.js";

export function drawSparkline(canvas, values) {
  const { ctx, width, height } = prepareCanvas(canvas);
  if (!width) return;
  const c = coloursOf(canvas, ["--model", "--line", "--wash"]);
  const top = Math.max(...values, 1);
  const x = (i) => 1 + (i / Math.max(1, values.length - 1)) * (width - 4);
  const y = (v) => height - 2.5 - (v / top) * (height - 6);
  ctx.fillStyle = c.line;
  ctx.fillRect(0, height - 1, width, 1);
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  let start = null;
  for (let i = 0; i <= values.length; i++) {
    const known = values[i] !== null && values[i] !== undefined;
    if (known && start === null) start = i;
    if (known || start === null) continue;
    drawSegment(ctx, c, values, start, i, x, y, height);
    start = null;
  }
  const last = values.at(-1);
  if (last === null || last === undefined) return;
  ctx.fillStyle = c.model;
  ctx.beginPath();
  ctx.arc(x(values.length - 1), y(last), 2.25, 0, 7);
  ctx.fill();
}

function drawSegment(ctx, c, values, from, to, x, y, height) {
  ctx.beginPath();
  for (let i = from; i < to; i++) ctx.lineTo(x(i), y(values[i]));
  ctx.strokeStyle = c.model;
  ctx.stroke();
  ctx.lineTo(x(to - 1), height - 1);
  ctx.lineTo(x(from), height - 1);
  ctx.fillStyle = c.wash;
  ctx.globalCompositeOperation = "destination-over";
  ctx.fill();
  ctx.globalCompositeOperation = "source-over";
}
