// A chart: uPlot with the look of the lab, a tooltip, bands and marks, and its rows as a table.
import { onTheme } from "../lib/theme.js";
import { drawBand, drawLabels } from "./annotations.js";
import { short } from "../lib/format.js";
import { chartTable, seriesValue } from "./chart-table.js";
import { uplotOptions } from "./uplot-options.js";

const LIVE_TABLE_MS = 2000;

export class Chart {
  #uplot;
  #plot;
  #tooltip;
  #bands = [];
  #marks = [];
  #spec;
  #empty;
  #unsubscribeTheme;
  #resizes;
  #isEmpty = true;
  #details;
  #onToggle;
  #nextTableMs = 0;

  /**
   * `spec`: series [{ label, kind, model?, tone?, width?, fill?, scale? }],
   * x { title, values, splits, range, text }, y { title, log, range, values }, right { title },
   * wash, format, sync (a key), live (the table shows the newest rows), drag (uPlot's cursor.drag).
   */
  constructor(panel, spec) {
    this.#spec = spec;
    this.#plot = panel.querySelector(".plot");
    this.#empty = panel.querySelector("[data-plot-empty]");
    this.#plot.querySelector(".uplot")?.remove();
    this.#tooltip =
      this.#plot.querySelector(".tip") ??
      this.#plot.appendChild(
        Object.assign(document.createElement("output"), { className: "tip", hidden: true }),
      );
    const hooks = {
      drawClear: [
        (u) => {
          for (const band of this.#bands) drawBand(u, band);
        },
      ],
      draw: [(u) => drawLabels(u, this.#bands, this.#marks)],
      setCursor: [(u) => this.#showTooltip(u)],
    };
    this.#uplot = new globalThis.uPlot(
      uplotOptions(this.#plot, spec, () => this.#isEmpty, hooks),
      [[0], ...spec.series.map(() => [null])],
      this.#plot,
    );
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(this.#plot);
    this.#unsubscribeTheme = onTheme(() => {
      if (this.#plot.isConnected) this.#uplot.redraw(false);
      else this.remove();
    });
    this.#details = panel.querySelector(".as-table");
    this.#onToggle = () => {
      if (this.#details.open) this.#updateTable();
    };
    this.#details?.addEventListener("toggle", this.#onToggle);
  }

  get plot() {
    return this.#uplot;
  }

  remove() {
    this.#unsubscribeTheme();
    this.#resizes.disconnect();
    this.#details?.removeEventListener("toggle", this.#onToggle);
    this.#uplot.destroy();
  }

  showEmpty(text) {
    this.set([[0], ...this.#spec.series.map(() => [null])], { empty: text });
  }

  set(data, { bands = [], marks = [], empty = "" } = {}) {
    [this.#bands, this.#marks] = [bands, marks];
    const wasEmpty = this.#isEmpty;
    this.#isEmpty = !data.slice(1).some((column) => column.some((v) => v !== null && v !== undefined));
    this.#empty.hidden = !empty;
    this.#empty.textContent = empty;
    this.#uplot.setData(data);
    // The scale may be the same: then uPlot would not draw the labels of the axis again.
    if (wasEmpty !== this.#isEmpty) this.#uplot.redraw(true, true);
    if (this.#spec.live && this.#details?.open && performance.now() > this.#nextTableMs) this.#updateTable();
  }

  #resize() {
    const [width, height] = [this.#plot.clientWidth, this.#plot.clientHeight];
    if (width && height && (width !== this.#uplot.width || height !== this.#uplot.height))
      this.#uplot.setSize({ width, height });
  }

  #showTooltip(u) {
    const at = u.cursor.idx;
    this.#tooltip.hidden = at === null || at === undefined || u.cursor.left < 0;
    if (this.#tooltip.hidden) return;
    const text = this.#spec.format ?? ((v) => short(v));
    const parts = this.#spec.series
      .map(({ label }, i) => [label, seriesValue(this.#spec, u.data, i, at), i])
      .filter(([, v]) => v !== null && v !== undefined)
      .map(([label, v, i]) => `${label} ${text(v, i)}`);
    this.#tooltip.textContent = [
      this.#spec.x?.text?.(u.data[0][at]) ?? `${short(u.data[0][at])} s`,
      ...parts,
    ].join(" · ");
    const left = Math.min(
      Math.max(0, u.cursor.left + u.bbox.left / devicePixelRatio - this.#tooltip.offsetWidth / 2),
      Math.max(0, this.#plot.clientWidth - this.#tooltip.offsetWidth),
    );
    this.#tooltip.style.transform = `translate(${left}px, -20px)`;
  }

  #updateTable() {
    this.#nextTableMs = performance.now() + LIVE_TABLE_MS;
    const table = chartTable(this.#spec, this.#uplot.data);
    this.#details.querySelector("[data-chart-table]").replaceChildren(table);
  }
}
