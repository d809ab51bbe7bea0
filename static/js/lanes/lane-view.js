// Thread lanes: one row per thread, time to the right. Two canvases lie over the lane column of the thread
// table. One holds the pixels of the lanes and is shifted over time, so that a frame costs a few new
// columns; the other is the overlay.
import { redrawOnChange } from "../lib/canvas.js";
import { LaneOverlay } from "./lane-overlay.js";
import { changesPerS, isDense } from "./auto-window.js";
import { LanePainter } from "./lane-painter.js";
import { STATES } from "./time-bins.js";

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
  #rate = 0; // changes of state per second while the timeline follows
  #dense = false; // a pixel has several changes of state: the lanes show the utilisation
  #overlay;
  #marks;
  #cursor = null;
  #axisHeightPx = 26;
  #context;
  #widthPx = 0;
  #onChange;

  /**
   * `base` and `over` are the canvases, `column` is the header of the lane column. `onChange()` is called
   * when rows, size or colours have changed: the lanes are out of date until the next `paint`.
   */
  constructor({ base, over, column, timeline, marks, onChange }) {
    [this.#base, this.#over, this.#column] = [base, over, column];
    [this.#timeline, this.#marks, this.#onChange] = [timeline, marks, onChange];
    // Keep the bitmap in memory: pixels are written, not drawn.
    this.#overlay = new LaneOverlay(over, timeline);
    this.#context = base.getContext("2d", { willReadFrequently: true });
  }

  /** To be called when the canvases are on the page: redraw them for as long as they are. */
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
  get isDense() {
    return this.#dense;
  }
  get cursor() {
    return this.#cursor;
  }

  /** rows: [{ source, element, name }] in the order of the table; a source has `shares(from, to, out)`. */
  show(history, rows) {
    const moved =
      history !== this.#history ||
      rows.length !== this.#rows.length ||
      rows.some((row, i) => row.element !== this.#rows[i].element);
    [this.#history, this.#rows] = [history, rows];
    if (moved) this.#invalidate();
  }

  /** Show single states or, if a pixel has several changes of state, the utilisation. */
  #chooseDensity() {
    if (this.#timeline.following) this.#rate = changesPerS([...this.#history.lanes.values()]);
    const dense = isDense(this.#rate, this.#timeline.span / Math.max(1, this.#widthPx));
    if (dense === this.#dense) return;
    this.#dense = dense;
    this.#stale = true;
  }

  /** Highlight these states (a Set of names), or none (null). */
  highlight(states) {
    this.#highlighted = states;
    this.#invalidate();
  }

  /** Set the cursor: { row, us }, { us } or null. */
  setCursor(cursor) {
    this.#cursor = cursor;
    this.#overlay.invalidate();
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
    this.#widthPx = this.#column.offsetWidth; // read once: reading it in each frame would force a layout
    this.#axisHeightPx = this.#column.parentElement.offsetHeight;
    this.#rowBoxes = this.#rows.map(({ element }) => ({
      top: element.offsetTop,
      pitch: element.offsetHeight,
    }));
    this.#painter = null;
    this.#stale = true;
    this.#onChange();
  }

  /** Paint the columns that have come into the window since the last animation frame. */
  paint(endUs) {
    if (!this.#history || !this.#widthPx) return;
    this.#chooseDensity();
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
    this.#overlay.draw(endUs, {
      widthPx: this.#widthPx,
      axisHeightPx: this.#axisHeightPx,
      rowBoxes: this.#rowBoxes,
      cursor: this.#cursor,
      marks: this.#marks(),
    });
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
    this.#overlay.invalidate();
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
        const isExact = source.shares(from, from + perPx, this.#shares) && this.#history.traced;
        const paint = this.#dense ? "heat" : isExact ? "single" : "column";
        this.#painter[paint](pixels, columns, n, first + n, y, high, this.#shares, perPx);
      }
    });
    this.#context.putImageData(this.#strip, x, 0);
  }
}
