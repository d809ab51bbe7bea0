// The last minute of each engine's rate, one point a second, drawn on its card. It outlives the card's HTML.
import { live } from "../live/live-socket.js";
import { spark } from "./sparkline.js";

const POINTS = 60;
export const minutes = new Map(); // engine id → { values, sum, n, second }

/** Answers whether a second is over, and with it a point more is known. */
export function take(frame) {
  const second = Math.floor(frame.t_s);
  let moved = false;
  for (const [id, engine] of Object.entries(frame.engines)) {
    if (!minutes.has(id)) minutes.set(id, { values: Array(POINTS).fill(null), sum: 0, n: 0, second });
    const m = minutes.get(id);
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
  for (const id of minutes.keys()) if (!(id in frame.engines)) minutes.delete(id);
  return moved;
}

function paint() {
  for (const canvas of document.querySelectorAll("[data-spark]"))
    spark(canvas, minutes.get(canvas.dataset.spark)?.values ?? []);
}

export function keepSparks() {
  live.onFrame((frame) => {
    if (take(frame)) requestAnimationFrame(paint);
  });
  document.addEventListener("htmx:after:swap", paint);
}
