// The overlay of the lanes: time axis, event marks and cursor.
import { coloursOf, font, prepareCanvas } from "../lib/canvas.js";

const COLOURS = ["--text-2", "--text-3", "--line", "--focus"];
const AXIS_STEPS = [1, 2, 3, 5],
  LABEL_GAP_PX = 8;
const durationText = (s) =>
  s >= 1 ? `${+s.toFixed(2)} s` : s >= 1e-3 ? `${+(s * 1e3).toFixed(2)} ms` : `${+(s * 1e6).toFixed(1)} µs`;

/** The step of the axis, in µs, that gives about `most` labels. */
function axisStepUs(spanUs, most) {
  const rough = spanUs / most,
    base = 10 ** Math.floor(Math.log10(rough));
  return base * (AXIS_STEPS.find((step) => step * base >= rough * 0.999) ?? 10);
}

export class LaneOverlay {
  #canvas;
  #timeline;
  #drawn = "";

  constructor(canvas, timeline) {
    [this.#canvas, this.#timeline] = [canvas, timeline];
  }

  /** Draw with the next call even if nothing has moved. */
  invalidate() {
    this.#drawn = "";
  }

  /**
   * Draw if something has moved by a pixel. `rowBoxes` are [{ top, pitch }] of the rows, `cursor` is
   * { row, us }, { us } or null, `marks` are [{ us, label }]; sizes are CSS pixels.
   */
  draw(endUs, { widthPx, axisHeightPx, rowBoxes, cursor, marks }) {
    const { span, following } = this.#timeline,
      x = (us) => (1 - (endUs - us) / span) * widthPx;
    const shown = marks.filter(({ us }) => us > endUs - span && us <= endUs),
      marksPx = shown.map(({ us }) => Math.round(x(us))).join(),
      cursorPx = cursor ? `${cursor.row} ${Math.round(x(cursor.us))}` : "",
      key = `${span} ${following} ${marksPx} ${cursorPx}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    const { ctx, width, height } = prepareCanvas(this.#canvas),
      colours = coloursOf(this.#canvas, COLOURS),
      area = { ctx, width, height, colours, axisHeightPx };
    ctx.textBaseline = "middle";
    this.#drawAxis(area, this.#drawMarks(area, x, shown));
    if (cursor) this.#drawCursor(area, x(cursor.us), rowBoxes[cursor.row]);
  }

  #drawCursor({ ctx, height, colours, axisHeightPx }, x, box) {
    ctx.fillStyle = colours.focus;
    if (box) return ctx.fillRect(Math.round(x), box.top, 1, box.pitch);
    ctx.globalAlpha = 0.4;
    ctx.fillRect(Math.round(x), axisHeightPx - 4, 1, height);
    ctx.globalAlpha = 1;
  }

  /** Labels leave the ranges in `taken` free. */
  #drawAxis({ ctx, width, height, colours, axisHeightPx }, taken) {
    const span = this.#timeline.span,
      step = axisStepUs(span, width < 260 ? 3 : width < 900 ? 5.1 : 8);
    ctx.font = font(this.#canvas, 11);
    const farWidth = ctx.measureText(`−${durationText(span / 1e6)}`).width + LABEL_GAP_PX;
    for (let back = 0; back <= span * 1.001; back += step) {
      const x = Math.round(width - (back / span) * width),
        far = back > span * 0.999,
        label = back ? `−${durationText(back / 1e6)}` : this.#timeline.following ? "now" : "held";
      if (!far && back && x - ctx.measureText(label).width / 2 < farWidth) continue;
      ctx.fillStyle = colours.line;
      ctx.globalCompositeOperation = "destination-over";
      ctx.fillRect(Math.min(width - 1, x), axisHeightPx - 4, 1, height - axisHeightPx + 4);
      ctx.globalCompositeOperation = "source-over";
      if (taken.some(({ from, to }) => x > from - 26 && x < to + 22)) continue;
      ctx.fillStyle = colours["text-3"];
      ctx.textAlign = back ? (far ? "left" : "center") : "right";
      ctx.fillText(label, far ? 0 : back ? x : width, axisHeightPx / 2 + 1);
    }
  }

  /** Draw marks and their labels; returns the ranges that they cover. */
  #drawMarks({ ctx, width, height, colours, axisHeightPx }, x, marks) {
    ctx.font = font(this.#canvas, 11, 500);
    ctx.textAlign = "left";
    ctx.fillStyle = colours["text-2"];
    let free = -Infinity;
    return marks.flatMap(({ us, label }) => {
      const from = Math.round(x(us)),
        to = from + 8 + ctx.measureText(label).width,
        fits = to < width - 26 && from > free;
      ctx.fillRect(from, fits ? 4 : axisHeightPx - 4, 1, height - 4);
      if (!fits) return [];
      free = to;
      ctx.fillText(label, from + 5, axisHeightPx / 2 + 1);
      return [{ from, to }];
    });
  }
}
