// The charts of the last 60 seconds, for one engine or for several on the same scales, with a common cursor.
import { CHARTS, seriesOf } from "./live-chart-list.js";
import { Chart } from "./chart.js";
import { RollingSeries, WINDOW_S } from "../live/rolling-series.js";
import { isMeasuring } from "../live/paint-rate.js";

export const SYNC = "live";
const X = {
  range: () => [-WINDOW_S, 0],
  values: (_, ticks) => ticks.map((v) => (v ? `−${-v}` : "now")),
  text: (v) => `${+(-v).toFixed(1)} s ago`,
  heading: "ago",
};

const axesOf = (name) => ({
  x: X,
  y: { title: CHARTS[name].title },
  right: { title: CHARTS[name].rightTitle },
});

/** The legend of a chart whose series depend on the engines. */
function drawLegend(panel, series) {
  const list = panel.querySelector("[data-live-key]");
  list?.replaceChildren(
    ...series.map(({ label, model, kind = "solid", tone }) => {
      const item = document.createElement("li"),
        mark = document.createElement("i");
      Object.assign(mark, { className: tone ? "swatch" : "line" });
      Object.assign(mark.dataset, { kind, ...(tone ? { dot: tone.replace("--state-", "") } : {}) });
      if (model) item.dataset.model = model;
      item.append(mark, label);
      return item;
    }),
  );
}

export class LiveCharts {
  #root;
  #charts = new Map();
  #series = new RollingSeries();
  #shown = "";
  #engines = [];
  #runSeen = null;
  #pending = false;

  constructor(root) {
    this.#root = root;
  }

  /** Show a text instead of empty charts. */
  showEmpty(text) {
    if (!this.#charts.size) this.#arrange();
    for (const { chart } of this.#charts.values()) chart.showEmpty(text);
  }

  remove() {
    for (const { chart } of this.#charts.values()) chart.remove();
    this.#charts.clear();
  }

  /** engines: [{ id, model }]; marks: [{ us, label }] */
  update(frame, engines, hello, marks = []) {
    // An engine that joins those that are shown (in a hot swap, say) shares their axis. With other engines
    // the series start again.
    if (this.#engines.length && !engines.some(({ id }) => this.#engines.some((each) => each.id === id)))
      [this.#series, this.#runSeen] = [new RollingSeries(), null];
    this.#engines = engines;
    const moved = this.#series.update(
        frame,
        engines.map(({ id }) => id),
        hello,
      ),
      run = frame.run;
    if (run && run.state !== "queued" && engines.some(({ id }) => id === String(run.engine)))
      this.#runSeen = { from: frame.t_s - run.elapsed_s, to: frame.t_s - run.elapsed_s + run.warmup_s };
    this.#pending ||= moved;
    if (!this.#pending || (isMeasuring() && !frame.legible)) return;
    this.#pending = false;
    requestAnimationFrame(() => {
      this.#arrange();
      this.#draw(frame.t_s, marks);
    });
  }

  /** Create the charts that are visible, and all of them again when engines or roles have changed. */
  #arrange() {
    const context = { engines: this.#engines, roles: this.#series.roles },
      shown = JSON.stringify([context.engines, context.roles]);
    if (shown !== this.#shown) this.remove();
    this.#shown = shown;
    for (const name of Object.keys(CHARTS)) {
      const panel = this.#root.querySelector(`[data-chart="${name}"]`),
        visible = panel?.checkVisibility();
      if (!visible || this.#charts.has(name)) continue;
      const made = seriesOf(name, context);
      if (!made.series.length) continue;
      drawLegend(panel, made.series);
      this.#charts.set(name, {
        chart: new Chart(panel, {
          ...axesOf(name),
          format: CHARTS[name].format,
          sync: SYNC,
          live: true,
          ...made,
        }),
        ...made,
      });
    }
  }

  #draw(now, allMarks) {
    const points = this.#series.points,
      xs = points.map(({ t }) => Math.min(0, t - now)),
      seen = this.#runSeen;
    const bands =
      seen && seen.to > seen.from
        ? [{ from: seen.from - now, to: Math.min(0, seen.to - now), label: "warm-up" }]
        : [];
    const marks = allMarks.map(({ us, label }) => ({ at: us / 1e6 - now, label }));
    for (const [name, { chart, series, read }] of this.#charts) {
      const rows = points.map(read),
        columns = series.map((_, i) => rows.map((row) => row[i]));
      const nothing = CHARTS[name].empty && !columns.some((column) => column.some((v) => v !== null));
      if (chart.plot.root.checkVisibility())
        chart.set([xs, ...columns], { bands, marks, empty: nothing ? CHARTS[name].empty : "" });
    }
  }
}

/**
 * Let lanes and charts share one cursor. `onCursor(us)` is called when that of a chart moves. Returns a
 * function that moves the cursors of all charts.
 */
export function syncCursors(nowUs, onCursor) {
  const charts = globalThis.uPlot.sync(SYNC);
  let own = false;
  charts.sub({
    pub(type, u, left) {
      if (!own) onCursor(type === "mousemove" && left >= 0 ? nowUs() + u.posToVal(left, "x") * 1e6 : null);
    },
  });
  return (us) => {
    const u = charts.plots.find((plot) => plot.root?.checkVisibility());
    if (!u) return;
    own = true;
    u.setCursor(
      us === null ? { left: -10, top: -10 } : { left: u.valToPos((us - nowUs()) / 1e6, "x"), top: 1 },
      true,
      true,
    );
    own = false;
  };
}
