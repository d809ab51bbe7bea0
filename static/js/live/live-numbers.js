// Writes numbers of frames into the cells that name them: [data-numbers="engine id"] [data-live="field"].
import * as format from "../lib/format.js";
import { setText } from "../lib/dom.js";
import { live } from "./live-socket.js";

const TEXT = {
  requests_per_s: format.rate,
  requests: format.count,
  errors: format.count,
  thread_count: format.count,
  connections_total: format.count,
  p99_us: format.latency,
  cpu_percent: format.percent,
  rss_bytes: format.bytes,
  queue_depth: format.count,
  uptime_s: format.duration,
};

export function fillNumbers(frame, root = document) {
  for (const place of root.querySelectorAll("[data-numbers]")) {
    const engine = frame.engines[place.dataset.numbers];
    if (!engine) continue;
    for (const cell of place.querySelectorAll("[data-live]"))
      setText(cell, (TEXT[cell.dataset.live] ?? format.count)(engine[cell.dataset.live]));
  }
}

export function updateLiveNumbers() {
  live.onFrame((frame) => {
    if (frame.legible) fillNumbers(frame);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (live.frame) fillNumbers(live.frame);
  });
}
