// The progress of a run: bar and numbers of the run strip and of the run page.
import * as format from "../lib/format.js";
import { live } from "./live-socket.js";
import { setText } from "../lib/dom.js";

const PHASES = { queued: "queued", warming: "warming up", running: "measuring" };
const TEXT = {
  offered_per_s: format.rate,
  achieved_per_s: format.rate,
  in_flight: format.count,
  errors: format.count,
  connections: format.count,
  p50_us: format.latency,
  p99_us: format.latency,
  response_p99_us: format.latency,
  generator_utilisation: format.share,
};

function updateBar(svg, progress) {
  const warm = Number(svg.dataset.warm),
    done = progress * 100;
  svg.querySelector('[data-bar="warm"]').setAttribute("width", `${Math.min(done, warm)}%`);
  svg.querySelector('[data-bar="done"]').setAttribute("width", `${Math.max(0, done - warm)}%`);
  svg.setAttribute("aria-valuenow", String(Math.round(done)));
}

function textOf(run) {
  const achievedShare =
    run.offered_per_s && run.achieved_per_s !== null
      ? Math.min(1, run.achieved_per_s / run.offered_per_s)
      : null;
  const own = {
    achieved_share: format.share(achievedShare),
    share: `${Math.round(run.progress * 100)} %`,
    elapsed: `${Math.floor(run.elapsed_s)} of ${Math.round(run.total_s)} s`,
  };
  return (name) => own[name] ?? TEXT[name]?.(run[name]) ?? "–";
}

function show(run) {
  for (const place of document.querySelectorAll(`[data-run="${CSS.escape(String(run.id))}"]`)) {
    const text = textOf(run);
    for (const svg of place.querySelectorAll("[data-progress]")) updateBar(svg, run.progress);
    for (const cell of place.querySelectorAll("[data-run-live]")) setText(cell, text(cell.dataset.runLive));
    for (const cell of place.querySelectorAll("[data-run-phase]"))
      setText(cell, PHASES[run.state] ?? run.state);
  }
}

/** Show on the form whether a run starts now or is queued. */
function updateButton(run) {
  const inProgress = Boolean(run);
  for (const each of document.querySelectorAll("[data-run-button]"))
    setText(each, inProgress ? "Add to queue" : "Run");
  for (const each of document.querySelectorAll("[data-run-queue]")) each.hidden = !inProgress;
}

export function updateRunProgress() {
  live.onFrame((frame) => {
    if (!frame.legible) return;
    if (frame.run) show(frame.run);
    updateButton(frame.run);
  });
}
