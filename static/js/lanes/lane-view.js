// Thread lanes: a row a thread, time to the right. Two canvases over the lane column of the thread table:
// one holds the pictures and is moved along, so that a new moment costs a few columns; the other the axis,
// marks and the cursor.
import { fit, font, inks, keepDrawn } from "../lib/canvas.js";
import { STATES } from "./time-bins.js";
import { Brush } from "./lane-painter.js";

const ROLES = ["--text-2", "--text-3", "--line", "--focus"];
const STEPS = [1, 2, 3, 5];
const bare = (s) =>
  s >= 1 ? `${+s.toFixed(2)} s` : s >= 1e-3 ? `${+(s * 1e3).toFixed(2)} ms` : `${+(s * 1e6).toFixed(1)} µs`;

/** A step of the axis that gives about so many labels. */
function stepOf(spanUs, most) {
  const rough = spanUs / most,
    base = 10 ** Math.floor(Math.log10(rough));
  return base * (STEPS.find((step) => step * base >= rough * 0.999) ?? 10);
}

export class LaneView {
  #base;
  #over;
  #column;
  #timeline;
  #history = null;
  #rows = [];
  #shape = [];
  #brush = null;
  #lit = null;
  #width = 0;
  #height = 0;
  #last = null;
  #perPx = 0;
  #strip = null;
  #out = new Float64Array(STATES);
  #stale = true;
  #said = "";
  #marks;
  #cursor = null;
  #axis = 26;
  #pen;
  #box = 0;
  #changed;

  /**
   * `changed` is called when rows, size or colours have changed: the picture does not fit until the next
   * `step`.
   */
  constructor({ base, over, column, timeline, marks, changed }) {
    [this.#base, this.#over, this.#column] = [base, over, column];
    [this.#timeline, this.#marks, this.#changed] = [timeline, marks, changed];
    // Kept in memory: pixels are put there, not drawn
    this.#pen = base.getContext("2d", { willReadFrequently: true });
  }

  /** The canvases are on the page now: keep them drawn for as long as they are. */
  attach() {
    keepDrawn(this.#over, () => this.#again());
  }

  get width() {
    return this.#box;
  }
  get over() {
    return this.#over;
  }
  get rows() {
    return this.#rows;
  }
  get cursor() {
    return this.#cursor;
  }

  /** rows: [{ source, element, name }] as they stand in the table; a source answers `shares`. */
  show(history, rows) {
    const moved =
      history !== this.#history ||
      rows.length !== this.#rows.length ||
      rows.some((row, i) => row.element !== this.#rows[i].element);
    [this.#history, this.#rows] = [history, rows];
    if (moved) this.#again();
  }

  /** Let these states stand out (a Set of names), or all of them alike (null). */
  light(states) {
    this.#lit = states;
    this.#again();
  }

  /** Where the pointer or the keyboard is: { row, us }, or null. */
  point(cursor) {
    this.#cursor = cursor;
    this.#said = "";
  }

  usAt(x) {
    return this.#timeline.endAt(performance.now()) - (1 - x / Math.max(1, this.#box)) * this.#timeline.span;
  }
  xAt(us) {
    return (1 - (this.#timeline.endAt(performance.now()) - us) / this.#timeline.span) * this.#box;
  }
  rowAt(y) {
    return this.#shape.findIndex(({ top, pitch }) => y >= top && y < top + pitch);
  }
  topOf(row) {
    return this.#shape[row]?.top ?? 0;
  }

  #again() {
    const table = this.#column.closest("table");
    const box = {
      left: `${this.#column.offsetLeft}px`,
      width: `${this.#column.offsetWidth}px`,
      height: `${table.offsetHeight}px`,
    };
    Object.assign(this.#base.style, box);
    Object.assign(this.#over.style, box);
    this.#box = this.#column.offsetWidth; // asked for once: reading it back would lay the page out again
    this.#axis = this.#column.parentElement.offsetHeight;
    this.#shape = this.#rows.map(({ element }) => ({ top: element.offsetTop, pitch: element.offsetHeight }));
    this.#brush = null;
    this.#stale = true;
    this.#changed();
  }

  /** Called for each animation frame: paints what has come into the window since the last one. */
  step(endUs) {
    if (!this.#history || !this.#box) return;
    if (this.#stale) this.#size();
    if (!this.#width) return;
    const perPx = this.#timeline.span / this.#width,
      last = Math.floor(endUs / perPx),
      moved = last - this.#last;
    if (this.#stale || perPx !== this.#perPx || moved < 0 || moved >= this.#width)
      this.#paint(0, this.#width, last, perPx);
    else if (moved > 0) {
      this.#pen.globalCompositeOperation = "copy";
      this.#pen.drawImage(this.#base, -moved, 0);
      this.#paint(this.#width - moved, moved, last, perPx);
    }
    [this.#last, this.#perPx, this.#stale] = [last, perPx, false];
    this.#draw(endUs);
  }

  #size() {
    const ratio = devicePixelRatio || 1;
    [this.#width, this.#height] = [
      Math.round(this.#base.clientWidth * ratio),
      Math.round(this.#base.clientHeight * ratio),
    ];
    if (this.#base.width !== this.#width || this.#base.height !== this.#height)
      [this.#base.width, this.#base.height] = [this.#width, this.#height];
    this.#brush = new Brush(this.#over, this.#history.names, this.#lit);
    this.#said = "";
  }

  #paint(x, columns, last, perPx) {
    const ratio = devicePixelRatio || 1;
    if (this.#strip?.width !== columns || this.#strip.height !== this.#height)
      this.#strip = new ImageData(columns, this.#height);
    const pixels = new Uint32Array(this.#strip.data.buffer).fill(0),
      first = last - columns;
    this.#rows.forEach(({ source }, i) => {
      const { top, pitch } = this.#shape[i] ?? {};
      if (!source || !pitch) return;
      const high = Math.round(
          (pitch > 30 ? pitch - 8 : pitch >= 22 ? 18 : Math.max(3, pitch - (pitch > 8 ? 4 : 1))) * ratio,
        ),
        y = Math.round(top * ratio + (pitch * ratio - high) / 2);
      if (y + high > this.#height) return;
      for (let n = 0; n < columns; n++) {
        const from = (first + n) * perPx;
        source.shares(from, from + perPx, this.#out);
        this.#brush.column(pixels, columns, n, first + n, y, high, this.#out, perPx);
      }
    });
    this.#pen.putImageData(this.#strip, x, 0);
  }

  /** The other canvas: drawn again only when something on it has moved. */
  #draw(endUs) {
    const marks = this.#marks().filter(({ us }) => us > endUs - this.#timeline.span && us <= endUs);
    const marksPx = marks.map(({ us }) => Math.round(this.#x(us, endUs))).join(),
      cursor = this.#cursor ? `${this.#cursor.row} ${Math.round(this.#x(this.#cursor.us, endUs))}` : "",
      said = `${this.#timeline.span} ${this.#timeline.following} ${marksPx} ${cursor}`;
    if (said === this.#said) return;
    this.#said = said;
    const { ctx, width, height } = fit(this.#over),
      c = inks(this.#over, ROLES);
    ctx.textBaseline = "middle";
    const taken = this.#drawMarks(ctx, c, height, width, endUs, marks);
    this.#drawAxis(ctx, c, width, height, taken);
    if (!this.#cursor) return;
    const { row, us } = this.#cursor,
      shape = this.#shape[row];
    ctx.fillStyle = c.focus;
    if (shape) ctx.fillRect(Math.round(this.#x(us, endUs)), shape.top, 1, shape.pitch);
    else {
      ctx.globalAlpha = 0.4;
      ctx.fillRect(Math.round(this.#x(us, endUs)), this.#axis - 4, 1, height);
      ctx.globalAlpha = 1;
    }
  }

  #x(us, endUs) {
    return (1 - (endUs - us) / this.#timeline.span) * this.#box;
  }

  #drawAxis(ctx, c, width, height, taken) {
    const span = this.#timeline.span,
      step = stepOf(span, width < 260 ? 3 : width < 900 ? 5.1 : 8);
    ctx.font = font(this.#over, 11);
    for (let back = 0; back <= span * 1.001; back += step) {
      const x = Math.round(width - (back / span) * width),
        far = back > span * 0.999;
      ctx.fillStyle = c.line;
      ctx.globalCompositeOperation = "destination-over";
      ctx.fillRect(Math.min(width - 1, x), this.#axis - 4, 1, height - this.#axis + 4);
      ctx.globalCompositeOperation = "source-over";
      if (taken.some(({ from, to }) => x > from - 26 && x < to + 22)) continue;
      ctx.fillStyle = c["text-3"];
      ctx.textAlign = back ? (far ? "left" : "center") : "right";
      ctx.fillText(
        back ? `−${bare(back / 1e6)}` : this.#timeline.following ? "now" : "held",
        far ? 0 : back ? x : width,
        this.#axis / 2 + 1,
      );
    }
  }

  /** Marks and their words; answers how far they reach, for the axis makes room for them. */
  #drawMarks(ctx, c, height, width, endUs, marks) {
    ctx.font = font(this.#over, 11, 500);
    ctx.textAlign = "left";
    ctx.fillStyle = c["text-2"];
    let free = -Infinity;
    return marks.flatMap(({ us, label }) => {
      const from = Math.round(this.#x(us, endUs)),
        to = from + 8 + ctx.measureText(label).width,
        fits = to < width - 26 && from > free;
      ctx.fillRect(from, fits ? 4 : this.#axis - 4, 1, height - 4);
      if (!fits) return [];
      free = to;
      ctx.fillText(label, from + 5, this.#axis / 2 + 1);
      return [{ from, to }];
    });
  }
}
