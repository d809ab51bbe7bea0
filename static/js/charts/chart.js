// uPlot with the looks of the lab: axes in the tokens' greys, lines in the model's hue, gaps as gaps, warm-
// up hatched.
import { hatchPattern, colourOf } from "../lib/canvas.js";
import { onTheme } from "../lib/theme.js";

const DASHES = { solid: [], dashed: [4, 2.5], ink: [2, 2] };
const AXIS_PX = 38,
  AXIS_UNIT_PX = 50,
  LIVE_ROWS = 30,
  LIVE_TABLE_MS = 2000;
const short = (v) =>
  v === null
    ? ""
    : Math.abs(v) >= 1e6
      ? `${+(v / 1e6).toFixed(1)}M`
      : Math.abs(v) >= 1e3
        ? `${+(v / 1e3).toFixed(1)}k`
        : String(+v.toFixed(3));

/** Keep the lines of a chart inside 0 and a little above the highest. */
const fromZero = (_, __, top) => [0, top > 0 ? top * 1.08 : 10];

function drawBand(u, from, to, label) {
  const { ctx } = u,
    [left, right] = [
      Math.max(u.bbox.left, u.valToPos(from, "x", true)),
      Math.min(u.bbox.left + u.bbox.width, u.valToPos(to, "x", true)),
    ];
  if (!(right > left)) return;
  ctx.save();
  ctx.fillStyle = hatchPattern(ctx, colourOf(u.root, "--line-strong"), colourOf(u.root, "--surface"));
  ctx.globalAlpha = 0.6;
  ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  ctx.globalAlpha = 1;
  if (label && right - left > 60 * devicePixelRatio) {
    ctx.font = u.axes[0].font[0];
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    const w = ctx.measureText(label).width;
    ctx.fillStyle = colourOf(u.root, "--surface");
    ctx.fillRect(left, u.bbox.top, w + 8 * devicePixelRatio, 15 * devicePixelRatio);
    ctx.fillStyle = colourOf(u.root, "--text-3");
    ctx.fillText(label, left + 3 * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  }
  ctx.restore();
}

function drawMark(u, at, label, free) {
  const { ctx } = u,
    x = Math.round(u.valToPos(at, "x", true)),
    wide = ctx.measureText(label).width + 8 * devicePixelRatio;
  if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return free;
  ctx.fillStyle = colourOf(u.root, "--text-3");
  ctx.fillRect(x, u.bbox.top, devicePixelRatio, u.bbox.height);
  if (x < free || x + wide > u.bbox.left + u.bbox.width) return free;
  ctx.fillText(label, x + 4 * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  return x + wide;
}

function drawMarks(u, marks) {
  u.ctx.save();
  Object.assign(u.ctx, { font: u.axes[0].font[0], textAlign: "left", textBaseline: "top" });
  let free = -Infinity;
  for (const { at, label } of marks) free = drawMark(u, at, label, free);
  u.ctx.restore();
}

export class Chart {
  #uplot;
  #plot;
  #tooltip;
  #bands = [];
  #marks = [];
  #spec;
  #empty;
  #headings;
  #unsubscribeTheme;
  #resizes;
  #isEmpty = true;
  #details;
  #onToggle;
  #tableAt = 0;

  /**
   * spec: series [{ label, kind, model?, tone?, width?, fill?, scale? }], x { values, splits, range, text
   * }, y { log, range, values }, wash, format, sync (a key), live (its table is of the newest rows)
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
    this.#uplot = new globalThis.uPlot(this.#options(), [[0], ...spec.series.map(() => [null])], this.#plot);
    this.#headings = [spec.x?.heading ?? "s", ...spec.series.map(({ label }) => label)];
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(this.#plot);
    this.#unsubscribeTheme = onTheme(() => {
      if (this.#plot.isConnected) this.#uplot.redraw(false);
      else this.remove();
    });
    this.#details = panel.querySelector(".as-table");
    this.#onToggle = () => {
      if (this.#details.open) this.#table();
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
    // The scale may be the same, and then its words would stay away
    if (wasEmpty !== this.#isEmpty) this.#uplot.redraw(true, true);
    if (this.#spec.live && this.#details?.open && performance.now() > this.#tableAt) this.#table();
  }

  #options() {
    const { series, x = {}, y = {}, wash } = this.#spec;
    const left = y.values ? AXIS_UNIT_PX : AXIS_PX;
    const font = `11px ${getComputedStyle(this.#plot).fontFamily}`;
    const tone = (role, model) => () => colourOf(this.#plot, role, model);
    const axis = {
      stroke: tone("--text-3"),
      font,
      grid: { stroke: tone("--line"), width: 1 },
      ticks: { show: false },
      gap: 6,
    };
    const right = series.some(({ scale }) => scale === "right");
    return {
      width: Math.max(80, this.#plot.clientWidth),
      height: Math.max(80, this.#plot.clientHeight),
      padding: [8, right ? 0 : 20, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 6 },
        ...(this.#spec.sync ? { sync: { key: this.#spec.sync } } : {}),
      },
      scales: {
        x: { time: false, range: x.range },
        y: { distr: y.log ? 3 : 1, range: y.range ?? fromZero },
        ...(right ? { right: { range: fromZero } } : {}),
      },
      axes: [
        {
          ...axis,
          size: 24,
          space: 56,
          values: x.values ?? ((_, ticks) => ticks.map((v, i) => (i ? short(v) : `${short(v)} s`))),
          splits: x.splits,
          grid: { show: false },
          ticks: { show: true, stroke: tone("--line-strong"), width: 1, size: 3 },
        },
        {
          ...axis,
          size: left,
          space: 34,
          splits: y.splits,
          filter: (_, ticks) => ticks,
          values: (u, ticks) =>
            this.#isEmpty ? ticks.map(() => "") : (y.values?.(u, ticks) ?? ticks.map(short)),
        },
        ...(right
          ? [
              {
                ...axis,
                scale: "right",
                side: 1,
                size: AXIS_PX,
                grid: { show: false },
                values: (_, ticks) => ticks.map(short),
              },
            ]
          : []),
      ],
      series: [
        {},
        ...series.map(({ label, kind = "solid", model, tone: role, width, fill, scale = "y" }) => ({
          label,
          scale,
          width: width ?? (kind === "solid" ? 2 : 1.5),
          dash: DASHES[kind],
          points: { show: false },
          spanGaps: false,
          stroke: tone(role ?? (kind === "ink" ? "--text-3" : "--model"), model),
          ...(fill ? { fill: tone(fill) } : {}),
        })),
      ],
      bands: wash ? [{ series: wash, fill: tone("--wash") }] : [],
      hooks: {
        drawClear: [
          (u) => {
            for (const { from, to, label } of this.#bands) drawBand(u, from, to, label);
          },
        ],
        draw: [(u) => drawMarks(u, this.#marks)],
        setCursor: [(u) => this.#showTooltip(u)],
      },
    };
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
      .map(({ label, value }, i) => [label, (value ?? ((d) => d[i + 1][at]))(u.data, at), i])
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

  /**
   * The rows behind the picture; of a live one the newest, newest first, and again only every other second.
   */
  #table() {
    this.#tableAt = performance.now() + LIVE_TABLE_MS;
    const text = this.#spec.format ?? ((v) => short(v)),
      table = document.createElement("table");
    table.className = "table small";
    const head = table.createTHead().insertRow();
    for (const heading of this.#headings)
      head.append(
        Object.assign(document.createElement("th"), { scope: "col", className: "num", textContent: heading }),
      );
    const body = table.createTBody(),
      [xs, ...columns] = this.#uplot.data,
      value = (n, i) => (this.#spec.series[n].value ?? ((data, at) => data[n + 1][at]))(this.#uplot.data, i);
    const order = this.#spec.live ? [...xs.keys()].reverse().slice(0, LIVE_ROWS) : [...xs.keys()];
    for (const i of order) {
      const row = body.insertRow();
      row.append(
        Object.assign(document.createElement("th"), {
          scope: "row",
          className: "num",
          textContent: this.#spec.x?.text?.(xs[i]) ?? short(xs[i]),
        }),
      );
      columns.forEach((_, n) => {
        const v = value(n, i);
        row.append(
          Object.assign(document.createElement("td"), {
            className: "num",
            textContent: v === null || v === undefined ? "–" : text(v, n),
          }),
        );
      });
    }
    this.#details.querySelector("[data-chart-table]").replaceChildren(table);
  }
}
