// Sparklines on the cards: the rate of each engine in the last minute, one point per second. The points are
// kept when the HTML of a card is replaced.
import { live } from "../live/live-socket.js";
import { drawSparkline } from "./sparkline.js";

const POINTS = 60;
export const rateSeries = new Map(); // engine id → { values, sum, n, second }

/** Returns whether a second has ended, so that there is a new point. */
export function addFrame(frame) {
  const second = Math.floor(frame.t_s);
  let moved = false;
  for (const [id, engine] of Object.entries(frame.engines)) {
    if (!rateSeries.has(id)) rateSeries.set(id, { values: Array(POINTS).fill(null), sum: 0, n: 0, second });
    const m = rateSeries.get(id);
    if (m.second !== second) {
      m.values.push(m.n ? m.sum / m.n : null);
      for (let s = m.second + 1; s < second && s < m.second + POINTS; s++) m.values.push(null);
      m.values.splice(0, m.values.length - POINTS);
      Object.assign(m, { sum: 0, n: 0, second });
      moved = true;
    }
    if (engine.requests_per_s !== null) {
      m.sum += engine.requests_per_s;
      m.n++;
    }
  }
  for (const id of rateSeries.keys()) if (!(id in frame.engines)) rateSeries.delete(id);
  return moved;
}

function paint() {
  for (const canvas of document.querySelectorAll("[data-spark]"))
    drawSparkline(canvas, rateSeries.get(canvas.dataset.spark)?.values ?? []);
}

export function updateCardSparklines() {
  live.onFrame((frame) => {
    if (addFrame(frame)) requestAnimationFrame(paint);
  });
  document.addEventListener("htmx:after:swap", paint);
}
