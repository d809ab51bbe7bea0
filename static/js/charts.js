// uPlot with the looks of the lab: axes in the tokens' greys, lines in the model's hue, gaps as gaps, warm-up hatched.
import { hatch, ink } from "./canvas.js";
import { onTheme } from "./theme.js";

const DASHES = { solid: [], dashed: [4, 2.5], ink: [2, 2] };
const AXIS_PX = 38, AXIS_UNIT_PX = 50;
const short = (v) => (v === null ? "" : Math.abs(v) >= 1e6 ? `${+(v / 1e6).toFixed(1)}M` : Math.abs(v) >= 1e3 ? `${+(v / 1e3).toFixed(1)}k` : String(+v.toFixed(3)));

/** Keep the lines of a chart inside 0 and a little above the highest. */
const fromZero = (_, __, top) => [0, top > 0 ? top * 1.08 : 10];

function band(u, from, to, label) {
  const { ctx } = u, [left, right] = [Math.max(u.bbox.left, u.valToPos(from, "x", true)), Math.min(u.bbox.left + u.bbox.width, u.valToPos(to, "x", true))];
  if (!(right > left)) return;
  ctx.save();
  ctx.fillStyle = hatch(ctx, ink(u.root, "--line-strong"), ink(u.root, "--surface"));
  ctx.globalAlpha = 0.6;
  ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.globalAlpha = 1;
  if (label && right - left > 60 * devicePixelRatio) {
    ctx.font = u.axes[0].font[0];
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    const w = ctx.measureText(label).width;
    ctx.fillStyle = ink(u.root, "--surface");
    ctx.fillRect(left, u.bbox.top, w + 8 * devicePixelRatio, 15 * devicePixelRatio);
    ctx.fillStyle = ink(u.root, "--text-3");
    ctx.fillText(label, left + 3 * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  }
  ctx.restore();
}

/** Something that happened at one instant: a line, and its words where they fit. */
function mark(u, at, label) {
  const { ctx, bbox } = u, x = Math.round(u.valToPos(at, "x", true));
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = ink(u.root, "--text-2");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 2 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = u.axes[0].font[0];
  ctx.textBaseline = "top";
  const room = bbox.left + bbox.width - x, gap = 4 * devicePixelRatio, wide = ctx.measureText(label).width + gap;
  if (Math.max(room, x - bbox.left) > wide) {
    ctx.textAlign = room > wide ? "left" : "right";
    ctx.fillText(label, room > wide ? x + gap : x - gap, bbox.top + 2 * devicePixelRatio);
  }
  ctx.restore();
}

export class Chart {
  #u; #plot; #tip; #bands = []; #marks = []; #spec; #empty; #headings; #stop; #sizes; #blank = true;

  /** spec: series [{ label, kind, tone?, width?, fill?, scale? }], x { values, splits, range, text }, y { log, range, values }, wash, format */
  constructor(panel, spec) {
    this.#spec = spec;
    this.#plot = panel.querySelector(".plot");
    this.#empty = panel.querySelector("[data-plot-empty]");
    this.#plot.querySelector(".uplot")?.remove();
    this.#tip = this.#plot.querySelector(".tip") ?? this.#plot.appendChild(Object.assign(document.createElement("output"), { className: "tip", hidden: true }));
    this.#u = new globalThis.uPlot(this.#options(), [[0], ...spec.series.map(() => [null])], this.#plot);
    this.#headings = [spec.x?.heading ?? "s", ...spec.series.map(({ label }) => label)];
    this.#sizes = new ResizeObserver(() => this.#fit());
    this.#sizes.observe(this.#plot);
    this.#stop = onTheme(() => { if (this.#plot.isConnected) this.#u.redraw(false); else this.remove(); });
    panel.querySelector(".as-table")?.addEventListener("toggle", ({ target }) => { if (target.open) this.#table(target.querySelector("[data-chart-table]")); });
  }

  remove() { this.#stop(); this.#sizes.disconnect(); this.#u.destroy(); }

  rest(text) { this.set([[0], ...this.#spec.series.map(() => [null])], { empty: text }); }

  set(data, { bands = [], marks = [], empty = "" } = {}) {
    this.#bands = bands;
    this.#marks = marks;
    const blank = this.#blank;
    this.#blank = !data.slice(1).some((column) => column.some((v) => v !== null && v !== undefined));
    this.#empty.hidden = !empty;
    this.#empty.textContent = empty;
    this.#u.setData(data);
    if (blank !== this.#blank) this.#u.redraw(true, true);   // the scale may be the same, and then its words would stay away
  }

  #options() {
    const { series, x = {}, y = {}, wash } = this.#spec;
    const left = y.values ? AXIS_UNIT_PX : AXIS_PX;
    const font = `11px ${getComputedStyle(this.#plot).fontFamily}`;
    const tone = (role) => () => ink(this.#plot, role);
    const axis = { stroke: tone("--text-3"), font, grid: { stroke: tone("--line"), width: 1 }, ticks: { show: false }, gap: 6 };
    const right = series.some(({ scale }) => scale === "right");
    return {
      width: Math.max(80, this.#plot.clientWidth), height: Math.max(80, this.#plot.clientHeight), padding: [8, right ? 0 : 20, 0, 0],
      legend: { show: false }, cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: false, range: x.range }, y: { distr: y.log ? 3 : 1, range: y.range ?? fromZero }, ...(right ? { right: { range: fromZero } } : {}) },
      axes: [
        { ...axis, size: 24, space: 56, values: x.values ?? ((_, ticks) => ticks.map((v, i) => (i ? short(v) : `${short(v)} s`))), splits: x.splits, grid: { show: false }, ticks: { show: true, stroke: tone("--line-strong"), width: 1, size: 3 } },
        { ...axis, size: left, space: 34, splits: y.splits, filter: (_, ticks) => ticks, values: (u, ticks) => (this.#blank ? ticks.map(() => "") : y.values?.(u, ticks) ?? ticks.map(short)) },
        ...(right ? [{ ...axis, scale: "right", side: 1, size: AXIS_PX, grid: { show: false }, values: (_, ticks) => ticks.map(short) }] : []),
      ],
      series: [{}, ...series.map(({ label, kind = "solid", tone: role, width, fill, scale = "y" }) => ({
        label, scale, width: width ?? (kind === "solid" ? 2 : 1.5), dash: DASHES[kind], points: { show: false }, spanGaps: false,
        stroke: tone(role ?? (kind === "ink" ? "--text-3" : "--model")), ...(fill ? { fill: tone(fill) } : {}),
      }))],
      bands: wash ? [{ series: wash, fill: tone("--wash") }] : [],
      hooks: { drawClear: [(u) => { for (const { from, to, label } of this.#bands) band(u, from, to, label); }], draw: [(u) => { for (const { at, label } of this.#marks) mark(u, at, label); }], setCursor: [(u) => this.#tell(u)] },
    };
  }

  #fit() {
    const [width, height] = [this.#plot.clientWidth, this.#plot.clientHeight];
    if (width && height && (width !== this.#u.width || height !== this.#u.height)) this.#u.setSize({ width, height });
  }

  #tell(u) {
    const at = u.cursor.idx;
    this.#tip.hidden = at === null || at === undefined || u.cursor.left < 0;
    if (this.#tip.hidden) return;
    const text = this.#spec.format ?? ((v) => short(v));
    const parts = this.#spec.series.map(({ label, value }, i) => [label, (value ?? ((d) => d[i + 1][at]))(u.data, at), i]).filter(([, v]) => v !== null && v !== undefined).map(([label, v, i]) => `${label} ${text(v, i)}`);
    this.#tip.textContent = [this.#spec.x?.text?.(u.data[0][at]) ?? `${short(u.data[0][at])} s`, ...parts].join(" · ");
    const left = Math.min(Math.max(0, u.cursor.left + u.bbox.left / devicePixelRatio - this.#tip.offsetWidth / 2), Math.max(0, this.#plot.clientWidth - this.#tip.offsetWidth));
    this.#tip.style.transform = `translate(${left}px, -20px)`;
  }

  #table(place) {
    const text = this.#spec.format ?? ((v) => short(v));
    const table = document.createElement("table");
    table.className = "table small";
    const head = table.createTHead().insertRow();
    for (const heading of this.#headings) head.append(Object.assign(document.createElement("th"), { scope: "col", className: "num", textContent: heading }));
    const body = table.createTBody();
    const [xs, ...columns] = this.#u.data;
    xs.forEach((x, i) => {
      const row = body.insertRow();
      row.append(Object.assign(document.createElement("th"), { scope: "row", className: "num", textContent: this.#spec.x?.text?.(x) ?? short(x) }));
      columns.forEach((column, n) => Object.assign(row.insertCell(), { className: "num", textContent: column[i] === null || column[i] === undefined ? "–" : text(column[i], n) }));
    });
    place.replaceChildren(table);
  }
}
