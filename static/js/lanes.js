// Thread lanes: one row a thread, one cell a sample. The hue is the model, the tone and the place are the state.
// A canvas over the lane column of the thread table: the rows say where, the history says what.
import { fit, font, hatch, inks, keepDrawn } from "./canvas.js";
import { GAP, TICK_S } from "./history.js";

const STATES = ["waiting", "queue", "accepting", "reading", "handling", "writing", "blocked"];
export const WORDS = { waiting: "waiting for events", queue: "waiting for work", blocked: "blocked in a handler" };
const ROLES = ["--text", "--text-2", "--text-3", "--line", "--surface", "--focus", ...STATES.map((s) => `--state-${s}`)];
const THIN_PX = 12;

export class LaneView {
  #canvas; #column; #tip; #history = null; #rows = []; #shape = []; #windowTicks = 150; #now = 0; #following = true; #cursor = null; #taken = [];

  constructor(canvas, column, tip) {
    this.#canvas = canvas; this.#column = column; this.#tip = tip;
    canvas.addEventListener("pointermove", (e) => this.#point(e.offsetX, e.offsetY));
    canvas.addEventListener("pointerleave", () => this.#inspect(null));
    canvas.addEventListener("blur", () => this.#inspect(null));
    canvas.addEventListener("keydown", (e) => this.#key(e));
    keepDrawn(canvas, () => { this.#measure(); this.draw(); });
  }

  get following() { return this.#following; }
  get behindS() { return this.#history ? (this.#history.tick - this.#now) * TICK_S : 0; }

  /** rows: [{ lane, element, name }], as they stand in the table. */
  show(history, rows) {
    const moved = history !== this.#history || rows.length !== this.#rows.length || rows.some((row, i) => row.element !== this.#rows[i].element);
    this.#history = history;
    this.#rows = rows;
    if (this.#following) this.#now = history.tick;
    if (moved) this.#measure();
    this.draw();
  }

  follow(on) {
    this.#following = on;
    if (on && this.#history) this.#now = this.#history.tick;
    this.draw();
  }

  zoom(ticks) {
    this.#windowTicks = ticks;
    this.draw();
  }

  #measure() {
    const table = this.#column.closest("table");
    Object.assign(this.#canvas.style, { left: `${this.#column.offsetLeft}px`, width: `${this.#column.offsetWidth}px`, height: `${table.offsetHeight}px` });
    const head = this.#column.parentElement.offsetHeight;
    this.#shape = this.#rows.map(({ element }) => ({ top: element.offsetTop, pitch: element.offsetHeight, axis: head }));
  }

  #frame(width) {
    const span = width - 8;
    return { left: 4, span, cell: span / this.#windowTicks };
  }

  #point(x, y) {
    const { left, span, cell } = this.#frame(this.#canvas.clientWidth);
    const lane = this.#shape.findIndex(({ top, pitch }) => y >= top && y < top + pitch);
    if (lane < 0 || x < left || x > left + span) return this.#inspect(null);
    this.#inspect({ lane, back: this.#windowTicks - 1 - Math.floor((x - left) / cell) });
  }

  #key(event) {
    const step = { ArrowLeft: [0, 1], ArrowRight: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !this.#rows.length) return;
    event.preventDefault();
    const at = this.#cursor ?? { lane: 0, back: 0 };
    const clamp = (v, top) => Math.max(0, Math.min(top, v));
    this.#inspect({ lane: clamp(at.lane + step[0], this.#rows.length - 1), back: clamp(at.back + step[1], this.#windowTicks - 1) });
  }

  #inspect(cursor) {
    this.#cursor = cursor;
    this.draw();
  }

  draw() {
    const { ctx, width, height } = fit(this.#canvas);
    if (!width || !this.#history) return;
    const c = inks(this.#canvas, ROLES);
    const f = this.#frame(width);
    const hatched = hatch(ctx, c.handling, c.blocked);
    this.#taken = this.#labels(ctx, f);
    this.#axis(ctx, c, f, height);
    this.#rows.forEach(({ lane }, i) => this.#runs(ctx, c, f, hatched, lane, this.#shape[i]));
    this.#marks(ctx, c, height);
    this.#tell(ctx, c, f, width);
  }

  #axis(ctx, c, f, height) {
    const seconds = this.#windowTicks * TICK_S, step = f.span < 260 ? seconds / 3 : seconds / 5;
    const top = this.#shape[0]?.axis ?? 24;
    ctx.font = font(this.#canvas, 11);
    ctx.textBaseline = "middle";
    for (let s = 0; s <= seconds + 0.01; s += step) {
      const x = Math.round(f.left + f.span - (s / seconds) * f.span) - 0.5;
      ctx.fillStyle = c.line;
      ctx.fillRect(x, top - 4, 1, height - top + 4);
      if (this.#taken.some(({ from, to }) => x > from - 22 && x < to + 18)) continue;
      ctx.fillStyle = c["text-3"];
      ctx.textAlign = s ? (s > seconds - 0.01 ? "left" : "center") : "right";
      ctx.fillText(s ? `−${Number(s.toFixed(1))} s` : this.#following ? "now" : "held", s > seconds - 0.01 ? 0 : s ? x : width(f), top / 2 + 2);
    }
  }

  #runs(ctx, c, f, hatched, lane, { top, pitch }) {
    const high = pitch >= 22 ? 18 : Math.max(3, pitch - (pitch > 8 ? 4 : 1)), y = Math.round(top + (pitch - high) / 2);
    const from = this.#now - this.#windowTicks + 1;
    let start = from, state = this.#history.stateAt(lane, from);
    for (let tick = from + 1; tick <= this.#now + 1; tick++) {
      const next = tick > this.#now ? null : this.#history.stateAt(lane, tick);
      if (next === state) continue;
      const x = Math.round(f.left + (start - from) * f.cell), end = Math.round(f.left + (tick - from) * f.cell);
      this.#run(ctx, c, hatched, state, x, y, high, Math.max(1, end - x - (f.cell > 2.5 ? 1 : 0)));
      start = tick; state = next;
    }
  }

  #run(ctx, c, hatched, state, x, y, lane, w) {
    if (state === GAP) return;
    const name = this.#history.name(state), mid = Math.floor(y + lane / 2);
    ctx.fillStyle = c[name];
    if (name === "waiting") return ctx.fillRect(x, mid, w + 1, 1);
    if (name === "queue") { for (let d = x; d < x + w; d += 4) ctx.fillRect(d, mid, Math.min(2, x + w - d), 1); return; }
    if (name === "reading") return ctx.fillRect(x, y + Math.floor(lane * 0.4), w, Math.ceil(lane * 0.6));
    if (name === "writing") return ctx.fillRect(x, y, w, Math.ceil(lane * 0.6));
    if (name === "blocked" && lane > THIN_PX - 4) ctx.fillStyle = hatched;
    ctx.fillRect(x, y, w, lane);
  }

  /** Where the event marks stand, and how far their words reach; axis labels make room for them. */
  #labels(ctx, f) {
    ctx.font = font(this.#canvas, 11, 500);
    let free = -Infinity;
    return this.#history.marks.flatMap(({ tick, label }) => {
      const back = this.#now - tick;
      if (back < 0 || back >= this.#windowTicks) return [];
      const from = Math.round(f.left + f.span - back * f.cell), to = from + 8 + ctx.measureText(label).width;
      const fits = to < f.left + f.span - 30 && from > free;
      if (fits) free = to;
      return [{ from, to: fits ? to : from, label: fits ? label : "" }];
    });
  }

  #marks(ctx, c, height) {
    ctx.font = font(this.#canvas, 11, 500);
    ctx.textAlign = "left";
    ctx.fillStyle = c["text-2"];
    for (const { from, label } of this.#taken) {
      ctx.fillRect(from, 4, 1, height - 4);
      ctx.fillText(label, from + 5, 13);
    }
  }

  #tell(ctx, c, f, width) {
    const row = this.#rows[this.#cursor?.lane], shape = this.#shape[this.#cursor?.lane];
    this.#tip.hidden = !row;
    if (!row) return;
    const { back } = this.#cursor, x = f.left + f.span - (back + 0.5) * f.cell;
    ctx.fillStyle = c.focus;
    ctx.fillRect(Math.round(x), shape.top, 1, shape.pitch);
    const state = this.#history.stateAt(row.lane, this.#now - back), seen = state === GAP ? "no sample" : this.#history.name(state);
    this.#tip.textContent = `${row.name} · ${WORDS[seen] ?? seen} · ${(back * TICK_S).toFixed(1)} s ago`;
    const left = this.#canvas.offsetLeft + Math.min(Math.max(0, x - 60), Math.max(0, width - this.#tip.offsetWidth));
    this.#tip.style.transform = `translate(${left}px, ${Math.max(0, shape.top - 28)}px)`;
  }
}

const width = (f) => f.left + f.span + 4;
