// The threads of one engine on a time axis that is short enough to see single requests: one row for each
// thread, one mark for each span in a state. Below them, one line for each request, from its send to its
// answer.
import { coloursOf, font, hatchPattern, prepareCanvas, redrawOnChange } from "../lib/canvas.js";

const ROLES = [
  "--text",
  "--text-2",
  "--text-3",
  "--line",
  "--surface",
  "--ink",
  "--on-ink",
  "--state-waiting",
  "--state-queue",
  "--state-accepting",
  "--state-reading",
  "--state-handling",
  "--state-writing",
  "--state-blocked",
];
const AXIS_PX = 22,
  EDGE_PX = 16,
  RIGHT_PX = 20,
  GAP_PX = 5,
  NARROW_PX = 480,
  LINE_PX = 2.6,
  PART_HEIGHT = 0.6,
  LABELS = 6,
  FREE_US = 400;

/** A round step of the axis in µs, so that there are about LABELS labels. */
function stepUs(windowUs) {
  const rough = windowUs / LABELS,
    base = 10 ** Math.floor(Math.log10(rough));
  return base * [1, 2, 5, 10].find((step) => step * base >= rough * 0.999);
}

/** Give each request a line: the first one that is free when it is sent. */
function assignLines(requests) {
  const freeAt = [];
  for (const request of requests) {
    let line = freeAt.findIndex((us) => us <= request.sent_us);
    if (line < 0) line = freeAt.length;
    freeAt[line] = request.answered_us + FREE_US;
    request.line = line;
  }
  return freeAt.length;
}

export class SpanLanes {
  #canvas;
  #options;
  #excerpt = { threads: [], requests: [], window_us: 1 };
  #rows = [];
  #requestsTop = 0;
  #lines = 0;
  #untilUs = Infinity;
  #marks = [];
  #headLabel = "";
  #words;

  /**
   * `axis`: whether it has the labels of the time axis. `lanePx`, `requestsPx`: heights of a thread and of
   * all requests. `scale`: of texts. `words`: { requests, slow }, and the name of a thread by its name.
   */
  constructor(canvas, { axis = false, lanePx = 20, requestsPx = 68, scale = 1, words = {} } = {}) {
    this.#canvas = canvas;
    this.#options = { axis, lanePx, requestsPx, scale };
    this.#words = { requests: "requests", slow: "slow request", thread: (name) => name, ...words };
    redrawOnChange(canvas, () => this.draw());
  }

  /** Show an excerpt of a trace. `marks`: [{ us, row, n }], numbers on rows; row -1: on the requests. */
  show(excerpt, marks = []) {
    this.#excerpt = excerpt;
    this.#marks = marks;
    this.#lines = assignLines(excerpt.requests);
    this.#measure();
    this.draw();
  }

  /** Draw up to this time in µs; what comes later is not shown. `label`: beside the slow request. */
  showUntil(us, label = "") {
    [this.#untilUs, this.#headLabel] = [us, label];
    this.draw();
  }

  rename(words) {
    Object.assign(this.#words, words);
    this.draw();
  }

  #measure() {
    const { axis, lanePx, requestsPx, scale } = this.#options;
    let y = (axis ? AXIS_PX * scale : 2) + 6;
    this.#rows = this.#excerpt.threads.map((thread) => {
      const row = { ...thread, top: y, height: lanePx * scale };
      y += row.height + GAP_PX * scale;
      return row;
    });
    this.#requestsTop = y;
    if (requestsPx) y += requestsPx + GAP_PX * scale;
    this.#canvas.style.height = `${y + 5}px`;
  }

  draw() {
    const { ctx, width, height } = prepareCanvas(this.#canvas);
    if (!width || !this.#rows.length) return;
    const { scale } = this.#options,
      colours = coloursOf(this.#canvas, ROLES),
      left = (width < NARROW_PX ? 66 : 84) * scale,
      perUs = (width - left - RIGHT_PX) / this.#excerpt.window_us,
      end = Math.min(this.#untilUs, this.#excerpt.window_us),
      area = { ctx, colours, left, perUs, height, end, x: (us) => left + us * perUs };
    area.hatch = hatchPattern(ctx, colours.handling, colours.blocked);
    ctx.textBaseline = "middle";
    this.#drawAxis(area, width);
    for (const row of this.#rows) this.#drawThread(area, row);
    if (this.#options.requestsPx) this.#drawRequests(area);
    this.#drawHead(area);
    for (const mark of this.#marks) if (mark.us <= this.#untilUs) this.#drawMark(area, mark);
  }

  #drawAxis({ ctx, colours, x, height }, width) {
    const { axis, scale } = this.#options,
      windowUs = this.#excerpt.window_us,
      step = stepUs(windowUs) * (width < NARROW_PX ? 2 : 1),
      [unit, symbol] = windowUs >= 2000 ? [1000, "ms"] : [1, "µs"];
    ctx.font = font(this.#canvas, 11 * scale);
    ctx.textAlign = "center";
    for (let us = 0; us <= windowUs; us += step) {
      const at = Math.round(x(us));
      ctx.fillStyle = colours.line;
      ctx.fillRect(at, axis ? AXIS_PX * scale - 2 : 0, 1, height);
      ctx.fillStyle = colours["text-3"];
      if (axis) ctx.fillText(us ? `${+(us / unit).toFixed(2)}` : `0 ${symbol}`, at, 10 * scale);
    }
  }

  #label({ ctx, colours }, text, y, colour, left) {
    ctx.font = font(this.#canvas, 12 * this.#options.scale, 500);
    ctx.textAlign = "left";
    ctx.fillStyle = colours[colour];
    ctx.fillText(text, EDGE_PX, y, left - EDGE_PX - 4);
  }

  #drawThread(area, row) {
    const { ctx, colours, x, end, left, perUs } = area,
      middle = Math.floor(row.top + row.height / 2);
    this.#label(area, this.#words.thread(row.name), row.top + row.height / 2 + 0.5, "text", left);
    ctx.fillStyle = colours[row.idle];
    if (row.idle === "waiting") ctx.fillRect(left, middle, x(end) - left, 1);
    else for (let at = left; at < x(end); at += 4) ctx.fillRect(at, middle, 2, 1);
    for (const span of row.spans) {
      const from = Math.max(0, span.from_us),
        to = Math.min(end, span.to_us);
      if (to <= from) continue;
      const at = x(from),
        wide = Math.max(1, (to - from) * perUs - 0.4);
      ctx.fillStyle = colours.surface;
      ctx.fillRect(at, middle, wide + 0.4, 1);
      this.#drawSpan(area, span, { at, wide, top: row.top, high: row.height });
    }
  }

  #drawSpan({ ctx, colours, hatch }, { state, slow }, { at, wide, top, high }) {
    ctx.fillStyle = state === "blocked" ? hatch : colours[state];
    if (state === "reading") ctx.fillRect(at, top + high * (1 - PART_HEIGHT), wide, high * PART_HEIGHT);
    else if (state === "writing") ctx.fillRect(at, top, wide, high * PART_HEIGHT);
    else ctx.fillRect(at, top, wide, high);
    if (!slow) return;
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(at - 1, top - 1.5, wide + 2, high + 3);
    const { scale } = this.#options,
      text = this.#words.slow;
    ctx.font = font(this.#canvas, 11 * scale, 600);
    const textWide = ctx.measureText(text).width;
    if (wide < textWide + 52 * scale) return;
    ctx.fillStyle = colours.surface;
    ctx.fillRect(at + wide / 2 - textWide / 2 - 6, top + 1, textWide + 12, high - 2);
    ctx.fillStyle = colours.text;
    ctx.textAlign = "center";
    ctx.fillText(text, at + wide / 2, top + high / 2 + 0.5);
  }

  #drawRequests(area) {
    const { ctx, colours, x, end, left, perUs } = area,
      { requestsPx, scale } = this.#options,
      pitch = Math.min(LINE_PX * scale, (requestsPx - 4) / Math.max(1, this.#lines));
    this.#label(area, this.#words.requests, this.#requestsTop + 9, "text-3", left);
    ctx.fillStyle = colours["text-2"];
    for (const { sent_us, answered_us, line } of this.#excerpt.requests) {
      const from = Math.max(0, sent_us),
        to = Math.min(end, answered_us);
      if (from >= end || to <= from) continue;
      const y = this.#requestsTop + 2 + line * pitch;
      ctx.fillRect(x(from), y, Math.max(1, (to - from) * perUs), Math.max(0.8, pitch * 0.54));
    }
  }

  /** The present of a replay. */
  #drawHead({ ctx, colours, x, height }) {
    if (this.#untilUs >= this.#excerpt.window_us) return;
    const at = Math.round(x(this.#untilUs)),
      row = this.#rows.find(({ spans }) => spans.some(({ slow }) => slow));
    ctx.fillStyle = colours.text;
    ctx.fillRect(at, 0, 1, height);
    if (!row || !this.#headLabel) return;
    ctx.font = font(this.#canvas, 12 * this.#options.scale, 500);
    ctx.textAlign = "left";
    ctx.fillText(this.#headLabel, at + 10, row.top + row.height / 2 + 0.5);
  }

  #drawMark({ ctx, colours, x }, { us, row, n }) {
    const at = this.#rows[row],
      radius = 8.5 * this.#options.scale,
      y = at ? at.top + at.height / 2 : this.#requestsTop + this.#options.requestsPx / 2;
    for (const [r, colour] of [
      [radius + 1.5, colours.surface],
      [radius, colours.ink],
    ]) {
      ctx.beginPath();
      ctx.arc(x(us), y, r, 0, 7);
      ctx.fillStyle = colour;
      ctx.fill();
    }
    ctx.fillStyle = colours["on-ink"];
    ctx.font = font(this.#canvas, 11 * this.#options.scale, 600);
    ctx.textAlign = "center";
    ctx.fillText(String(n), x(us), y + 0.5);
  }
}
