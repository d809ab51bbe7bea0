// The page of a run: live charts while it is in progress, then the charts of the result. htmx swaps one for
// the other.
import { LiveCharts } from "../charts/live-charts.js";
import { drawOverTime, drawPercentiles, panel } from "../charts/result-charts.js";
import { installRange } from "../charts/range-select.js";
import { installSave, installSaveOfSvg } from "../charts/save-chart.js";
import { live } from "../live/live-socket.js";
import { updateRunProgress } from "../live/run-progress.js";

async function json(url) {
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

/** Show a text instead of a chart. */
function showEmptyText(root, name, textContent) {
  const empty = panel(root, name)?.querySelector("[data-plot-empty]");
  if (empty) Object.assign(empty, { hidden: false, textContent });
}

function showFetchError(root, names) {
  for (const name of names) showEmptyText(root, name, "Could not load the data. Reload the page to retry.");
}

const installSaves = (root, drawn) => drawn.forEach((each) => installSave(root, each));

let charts = null,
  markRange = null,
  shownRoot = null;

async function showResult(root) {
  if (root.querySelector("#search [data-save-svg]")) installSaveOfSvg(root.querySelector("#search"));
  if (root.dataset.percentiles && panel(root, "percentiles"))
    json(root.dataset.percentiles)
      .then((data) => installSaves(root, drawPercentiles(root, data)))
      .catch(() => showFetchError(root, ["percentiles"]));
  if (root.dataset.series && panel(root, "load"))
    json(root.dataset.series)
      .then((data) => {
        const drawn = drawOverTime(root, data);
        installSaves(root, drawn);
        markRange = installRange(drawn.map(({ chart }) => chart.plot));
      })
      .catch(() => showFetchError(root, ["rate", "p99", "load", "cpu"]));
}

function arrange() {
  const root = document.querySelector("#run-main");
  if (root && root === shownRoot) return markRange?.(); // only a part was swapped, such as the time range
  shownRoot = root;
  charts?.remove();
  charts = markRange = null;
  if (!root || root.dataset.runState === undefined) return;
  if (root.querySelector("[data-live-charts]")) charts = new LiveCharts(root);
  else showResult(root);
}

live.subscribe({ interval_ms: 250 });
live.onFrame((frame) => {
  const root = document.querySelector("#run-main");
  if (charts && frame.run && String(frame.run.id) === root.dataset.run && frame.engines[frame.run.engine])
    charts.update(
      frame,
      [{ id: frame.run.engine, model: frame.engines[frame.run.engine].model }],
      live.hello,
    );
});
document.addEventListener("htmx:after:swap", arrange);
updateRunProgress();
arrange();
