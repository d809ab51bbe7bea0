// Pointer, wheel and keys on the lanes: zoom, pan, and a cursor on one thread at one time.
const WHEEL = 1.0015,
  KEY_ZOOM = 1.6,
  STEP_PX = 4,
  FAST = 10,
  DRAG_FROM_PX = 4,
  SCROLLED_MS = 400;
let scrolledAt = -SCROLLED_MS;
addEventListener(
  "scroll",
  () => {
    scrolledAt = performance.now();
  },
  { passive: true },
);

export class LaneInput {
  #view;
  #timeline;
  #inspect;
  #drag = null;

  /** `inspect(cursor)` is called with { row, us } of the cursor, or null. */
  constructor(view, timeline, inspect) {
    [this.#view, this.#timeline, this.#inspect] = [view, timeline, inspect];
    const canvas = view.over;
    canvas.addEventListener("pointerdown", (e) => this.#down(e));
    canvas.addEventListener("pointermove", (e) => this.#move(e));
    canvas.addEventListener("pointerup", () => {
      this.#drag = null;
    });
    canvas.addEventListener("pointercancel", () => {
      this.#drag = null;
    });
    canvas.addEventListener("pointerleave", () => {
      if (!this.#drag && document.activeElement !== canvas) inspect(null);
    });
    canvas.addEventListener("blur", () => inspect(null));
    canvas.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
    canvas.addEventListener("keydown", (e) => this.#key(e));
  }

  #down(event) {
    if (event.button) return;
    this.#drag = { x: event.offsetX, moved: false };
    this.#view.over.setPointerCapture(event.pointerId);
  }

  #move({ offsetX, offsetY }) {
    const drag = this.#drag,
      perPx = this.#timeline.span / this.#view.width;
    if (drag && (drag.moved || Math.abs(offsetX - drag.x) > DRAG_FROM_PX)) {
      this.#timeline.pan((drag.x - offsetX) * perPx);
      Object.assign(drag, { x: offsetX, moved: true });
      return this.#inspect(null);
    }
    const row = this.#view.rowAt(offsetY);
    this.#inspect(row < 0 ? null : { row, us: this.#view.usAt(offsetX) });
  }

  /** The wheel zooms, sideways it pans. While the page is being scrolled it continues to scroll the page. */
  #wheel(event) {
    if (performance.now() - scrolledAt < SCROLLED_MS && !event.ctrlKey) return;
    const perPx = this.#timeline.span / this.#view.width;
    const sideways = event.shiftKey
      ? event.deltaY
      : Math.abs(event.deltaX) > Math.abs(event.deltaY)
        ? event.deltaX
        : 0;
    if (sideways) this.#timeline.pan(sideways * perPx);
    else if (!this.#timeline.zoom(WHEEL ** event.deltaY, this.#view.usAt(event.offsetX))) return;
    event.preventDefault();
  }

  #key(event) {
    const act = this.#acts(event.key, event.shiftKey ? FAST : 1);
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  #acts(key, by) {
    const around = () => this.#view.cursor?.us;
    return {
      ArrowLeft: () => this.#go(0, -by),
      ArrowRight: () => this.#go(0, by),
      ArrowUp: () => this.#go(-1, 0),
      ArrowDown: () => this.#go(1, 0),
      PageUp: () => this.#timeline.pan(-this.#timeline.span / 2),
      PageDown: () => this.#timeline.pan(this.#timeline.span / 2),
      Home: () => this.#timeline.oldest(),
      End: () => {
        this.#inspect(null);
        this.#timeline.follow(true);
      },
      Escape: () => this.#inspect(null),
      "+": () => this.#timeline.zoom(1 / KEY_ZOOM, around()),
      "=": () => this.#timeline.zoom(1 / KEY_ZOOM, around()),
      "-": () => this.#timeline.zoom(KEY_ZOOM, around()),
    }[key];
  }

  /** Move the cursor; at the edge of the window pan. */
  #go(rows, steps) {
    const width = this.#view.width,
      step = (this.#timeline.span / width) * STEP_PX,
      end = this.#view.usAt(width);
    const at = this.#view.cursor ?? { row: 0, us: end - step };
    const us = at.us + steps * step,
      row = Math.max(0, Math.min(this.#view.rows.length - 1, at.row + rows));
    if (us < end - this.#timeline.span) this.#timeline.pan(us - (end - this.#timeline.span));
    else if (us > end) this.#timeline.pan(us - end);
    this.#inspect({ row, us: Math.min(us, this.#timeline.head) });
  }
}
