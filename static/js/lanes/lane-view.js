// Thread lanes: a row a thread, time to the right. Two canvases over the lane column of the thread table:
// one holds the pictures and is moved along, so that a new moment costs a few columns; the other the axis,
// marks and the cursor.
import { prepareCanvas, font, coloursOf, redrawOnChange } from "../lib/canvas.js";
import { STATES } from "./time-bins.js";
import { LanePainter } from "./lane-painter.js";

const COLOURS = ["--text-2", "--text-3", "--line", "--focus"];
const AXIS_STEPS = [1, 2, 3, 5];
const durationText = (s) =>
  s >= 1 ? `${+s.toFixed(2)} s` : s >= 1e-3 ? `${+(s * 1e3).toFixed(2)} ms` : `${+(s * 1e6).toFixed(1)} µs`;

/** A step of the axis that gives about so many labels. */
function axisStepUs(spanUs, most) {
  const rough = spanUs / most,
    base = 10 ** Math.floor(Math.log10(rough));
  return base * (AXIS_STEPS.find((step) => step * base >= rough * 0.999) ?? 10);
}

export class LaneView {
  #base;
  #over;
  #column;
  #timeline;
  #history = null;
  #rows = [];
  #rowBoxes = [];
  #painter = null;
  #highlighted = null;
  #bitmapWidth = 0;
  #bitmapHeight = 0;
  #last = null;
  #perPx = 0;
  #strip = null;
  #shares = new Float64Array(STATES);
  #stale = true;
  #overlayKey = "";
  #marks;
  #cursor = null;
  #axisHeightPx = 26;
  #context;
  #widthPx = 0;
  #onChange;

  /**
   * `onChange` is called when rows, size or colours have onChange: the picture does not fit until the next
   * `step`.
   */
  constructor({ base, over, column, timeline, marks, onChange }) {
    [this.#base, this.#over, this.#column] = [base, over, column];
    [this.#timeline, this.#marks, this.#onChange] = [timeline, marks, onChange];
    // Kept in memory: pixels are put there, not drawn
    this.#context = base.getContext("2d", { willReadFrequently: true });
  }

  /** The canvases are on the page now: keep them drawn for as long as they are. */
  attach() {
    redrawOnChange(this.#over, () => this.#invalidate());
  }

  get width() {
    return this.#widthPx;
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
    if (moved) this.#invalidate();
  }

  /** Let these states stand out (a Set of names), or all of them alike (null). */
  highlight(states) {
    this.#highlighted = states;
    this.#invalidate();
  }

  /** Where the pointer or the keyboard is: { row, us }, or null. */
  setCursor(cursor) {
    this.#cursor = cursor;
    this.#overlayKey = "";
  }

  usAt(x) {
    return (
      this.#timeline.endAt(performance.now()) - (1 - x / Math.max(1, this.#widthPx)) * this.#timeline.span
    );
  }
  xAt(us) {
    return (1 - (this.#timeline.endAt(performance.now()) - us) / this.#timeline.span) * this.#widthPx;
  }
  rowAt(y) {
    return this.#rowBoxes.findIndex(({ top, pitch }) => y >= top && y < top + pitch);
  }
  topOf(row) {
    return this.#rowBoxes[row]?.top ?? 0;
  }

  #invalidate() {
    const table = this.#column.closest("table");
    const box = {
      left: `${this.#column.offsetLeft}px`,
      width: `${this.#column.offsetWidth}px`,
      height: `${table.offsetHeight}px`,
    };
    Object.assign(this.#base.style, box);
    Object.assign(this.#over.style, box);
    this.#widthPx = this.#column.offsetWidth; // asked for once: reading it back would lay the page out again
    this.#axisHeightPx = this.#column.parentElement.offsetHeight;
    this.#rowBoxes = this.#rows.map(({ element }) => ({
      top: element.offsetTop,
      pitch: element.offsetHeight,
    }));
    this.#painter = null;
    this.#stale = true;
    this.#onChange();
  }

  /** Called for each animation frame: paints what has come into the window since the last one. */
  paint(endUs) {
    if (!this.#history || !this.#widthPx) return;
    if (this.#stale) this.#resize();
    if (!this.#bitmapWidth) return;
    const perPx = this.#timeline.span / this.#bitmapWidth,
      last = Math.floor(endUs / perPx),
      moved = last - this.#last;
    if (this.#stale || perPx !== this.#perPx || moved < 0 || moved >= this.#bitmapWidth)
      this.#paintColumns(0, this.#bitmapWidth, last, perPx);
    else if (moved > 0) {
      this.#context.globalCompositeOperation = "copy";
      this.#context.drawImage(this.#base, -moved, 0);
      this.#paintColumns(this.#bitmapWidth - moved, moved, last, perPx);
    }
    [this.#last, this.#perPx, this.#stale] = [last, perPx, false];
    this.#drawOverlay(endUs);
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    [this.#bitmapWidth, this.#bitmapHeight] = [
      Math.round(this.#base.clientWidth * ratio),
      Math.round(this.#base.clientHeight * ratio),
    ];
    if (this.#base.width !== this.#bitmapWidth || this.#base.height !== this.#bitmapHeight)
      [this.#base.width, this.#base.height] = [this.#bitmapWidth, this.#bitmapHeight];
    this.#painter = new LanePainter(this.#over, this.#history.names, this.#highlighted);
    this.#overlayKey = "";
  }

  #paintColumns(x, columns, last, perPx) {
    const ratio = devicePixelRatio || 1;
    if (this.#strip?.width !== columns || this.#strip.height !== this.#bitmapHeight)
      this.#strip = new ImageData(columns, this.#bitmapHeight);
    const pixels = new Uint32Array(this.#strip.data.buffer).fill(0),
      first = last - columns;
    this.#rows.forEach(({ source }, i) => {
      const { top, pitch } = this.#rowBoxes[i] ?? {};
      if (!source || !pitch) return;
      const high = Math.round(
          (pitch > 30 ? pitch - 8 : pitch >= 22 ? 18 : Math.max(3, pitch - (pitch > 8 ? 4 : 1))) * ratio,
        ),
        y = Math.round(top * ratio + (pitch * ratio - high) / 2);
      if (y + high > this.#bitmapHeight) return;
      for (let n = 0; n < columns; n++) {
        const from = (first + n) * perPx;
        source.shares(from, from + perPx, this.#shares);
        this.#painter.column(pixels, columns, n, first + n, y, high, this.#shares, perPx);
      }
    });
    this.#context.putImageData(this.#strip, x, 0);
  }

  /** The other canvas: drawn again only when something on it has moved. */
  #drawOverlay(endUs) {
    const marks = this.#marks().filter(({ us }) => us > endUs - this.#timeline.span && us <= endUs);
    const marksPx = marks.map(({ us }) => Math.round(this.#x(us, endUs))).join(),
      cursor = this.#cursor ? `${this.#cursor.row} ${Math.round(this.#x(this.#cursor.us, endUs))}` : "",
      key = `${this.#timeline.span} ${this.#timeline.following} ${marksPx} ${cursor}`;
    if (key === this.#overlayKey) return;
    this.#overlayKey = key;
    const { ctx, width, height } = prepareCanvas(this.#over),
      c = coloursOf(this.#over, COLOURS);
    ctx.textBaseline = "middle";
    const taken = this.#drawMarks(ctx, c, height, width, endUs, marks);
    this.#drawAxis(ctx, c, width, height, taken);
    if (!this.#cursor) return;
    const { row, us } = this.#cursor,
      shape = this.#rowBoxes[row];
    ctx.fillStyle = c.focus;
    if (shape) ctx.fillRect(Math.round(this.#x(us, endUs)), shape.top, 1, shape.pitch);
    else {
      ctx.globalAlpha = 0.4;
      ctx.fillRect(Math.round(this.#x(us, endUs)), this.#axisHeightPx - 4, 1, height);
      ctx.globalAlpha = 1;
    }
  }

  #x(us, endUs) {
    return (1 - (endUs - us) / this.#timeline.span) * this.#widthPx;
  }

  #drawAxis(ctx, c, width, height, taken) {
    const span = this.#timeline.span,
      step = axisStepUs(span, width < 260 ? 3 : width < 900 ? 5.1 : 8);
    ctx.font = font(this.#over, 11);
    for (let back = 0; back <= span * 1.001; back += step) {
      const x = Math.round(width - (back / span) * width),
        far = back > span * 0.999;
      ctx.fillStyle = c.line;
      ctx.globalCompositeOperation = "destination-over";
      ctx.fillRect(Math.min(width - 1, x), this.#axisHeightPx - 4, 1, height - this.#axisHeightPx + 4);
      ctx.globalCompositeOperation = "source-over";
      if (taken.some(({ from, to }) => x > from - 26 && x < to + 22)) continue;
      ctx.fillStyle = c["text-3"];
      ctx.textAlign = back ? (far ? "left" : "center") : "right";
      ctx.fillText(
        back ? `−${durationText(back / 1e6)}` : this.#timeline.following ? "now" : "held",
        far ? 0 : back ? x : width,
        this.#axisHeightPx / 2 + 1,
      );
    }
  }

  /** Draw marks and their labels; returns the ranges that they cover, which labels of the axis leave free. */
  #drawMarks(ctx, c, height, width, endUs, marks) {
    ctx.font = font(this.#over, 11, 500);
    ctx.textAlign = "left";
    ctx.fillStyle = c["text-2"];
    let free = -Infinity;
    return marks.flatMap(({ us, label }) => {
      const from = Math.round(this.#x(us, endUs)),
        to = from + 8 + ctx.measureText(label).width,
        fits = to < width - 26 && from > free;
      ctx.fillRect(from, fits ? 4 : this.#axisHeightPx - 4, 1, height - 4);
      if (!fits) return [];
      free = to;
      ctx.fillText(label, from + 5, this.#axisHeightPx / 2 + 1);
      return [{ from, to }];
    });
  }
}
