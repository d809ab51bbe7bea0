// The rows behind a chart, as a table.
import { short } from "../lib/format.js";

const LIVE_ROWS = 30;
const cell = (name, textContent, more = {}) =>
  Object.assign(document.createElement(name), { className: "num", textContent, ...more });

/** The value of series `n` at row `i`. In a stacked chart a sum is drawn, and `value` returns the addend. */
export const seriesValue = ({ series }, data, n, i) =>
  (series[n].value ?? ((columns, at) => columns[n + 1][at]))(data, i);

/** `data` is that of uPlot. A live chart shows its newest rows, newest first. */
export function chartTable(spec, data) {
  const table = Object.assign(document.createElement("table"), { className: "table small" }),
    text = spec.format ?? ((v) => short(v)),
    [xs] = data;
  const headings = [spec.x?.heading ?? "s", ...spec.series.map(({ label }) => label)];
  table
    .createTHead()
    .insertRow()
    .append(...headings.map((heading) => cell("th", heading, { scope: "col" })));
  const body = table.createTBody(),
    rows = spec.live ? [...xs.keys()].reverse().slice(0, LIVE_ROWS) : [...xs.keys()];
  for (const i of rows) {
    const values = spec.series.map((_, n) => seriesValue(spec, data, n, i));
    body
      .insertRow()
      .append(
        cell("th", spec.x?.text?.(xs[i]) ?? short(xs[i]), { scope: "row" }),
        ...values.map((v, n) => cell("td", v === null || v === undefined ? "–" : text(v, n))),
      );
  }
  return table;
}
