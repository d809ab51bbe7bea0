// The lanes of one engine: its history, its thread table, the canvases over it, and what they say when asked.
import * as format from "../lib/format.js";
import { History } from "./thread-history.js";
import { LaneInput } from "./lane-input.js";
import { LaneView } from "./lane-view.js";
import { tell } from "./lane-tooltip.js";
import { write } from "../live/live-numbers.js";
import { ThreadTable } from "../live/thread-table.js";

const DESCRIBE_US = 2e6;

export class EngineLanes {
  #root;
  #timeline;
  #history = null;
  #table;
  #view;
  #tip;
  #marks;
  #pointed;
  #summary;
  #describedAt = 0;

  /**
   * `root` is a copy of the template; `marks` returns what happened when. `pointed(us)` is called with the
   * cursor's time, and `changed` when the picture must be painted at once.
   */
  constructor(root, id, { timeline, marks, pointed, changed }) {
    const find = (name) => root.querySelector(`[data-${name}]`);
    [this.#root, this.id, this.#timeline, this.#marks, this.#pointed] = [root, id, timeline, marks, pointed];
    this.#table = new ThreadTable(find("thread-rows"));
    this.#tip = find("lane-tip");
    this.#view = new LaneView({
      base: find("lanes-base"),
      over: find("lanes"),
      column: root.querySelector("th.lane"),
      timeline,
      marks: () => this.#marks(id),
      changed,
    });
    new LaneInput(this.#view, timeline, (cursor) => this.#inspect(cursor));
    this.#summary = find("lane-summary");
    Object.assign(this.#summary, { id: `lanes-of-${id}` });
    find("lanes").setAttribute("aria-describedby", `lanes-help ${this.#summary.id}`);
    find("lanes").setAttribute("aria-label", `Thread lanes of ${id}`);
  }

  get headUs() {
    return this.#history?.headUs ?? 0;
  }
  get traced() {
    return this.#history?.traced ?? false;
  }
  get view() {
    return this.#view;
  }
  get root() {
    return this.#root;
  }
  get lanes() {
    return this.#history ? [...this.#history.lanes.values()] : [];
  }

  /** Returns the µs that were lost before this frame. `legible`: rows may move now. */
  take(engine, tUs, hello, legible) {
    if (!engine.threads) return 0;
    this.#history ??= new History(hello.thread_states, hello.interval_ms);
    this.#root.dataset.tracing = engine.tracing ?? "";
    const lost = this.#history.take(engine, tUs);
    if (legible || !this.#table.rows.length) {
      this.#table.arrange(this.#history);
      this.#view.show(this.#history, this.#table.rows);
    }
    return lost;
  }

  hold(on) {
    this.#history?.hold(on);
  }

  step(endUs) {
    this.#view.step(endUs);
  }

  /** Numbers of the table, and what the cursor stands on: a few times a second. */
  write(endUs) {
    if (!this.#history) return;
    if (endUs - this.#describedAt > DESCRIBE_US || endUs < this.#describedAt) {
      this.#describedAt = endUs;
      this.#describe(endUs);
    }
    this.#table.tell(this.#history, endUs - this.#timeline.span, endUs);
    if (this.#view.cursor?.row !== undefined) this.#say(this.#view.cursor);
  }

  /** The cursor of another panel that stands at this moment. */
  mark(us) {
    if (this.#view.cursor?.row === undefined) this.#view.point(us === null ? null : { us });
  }

  #inspect(cursor) {
    this.#view.point(cursor);
    this.#tip.hidden = !cursor;
    this.#pointed(cursor?.us ?? null, this);
    if (cursor) this.#say(cursor);
  }

  #say({ row, us }) {
    const each = this.#view.rows[row];
    this.#tip.hidden = !each?.source;
    if (this.#tip.hidden) return;
    const canvas = this.#view.over,
      [first, more] = tell(this.#history, each, us, this.#timeline.span / this.#view.width);
    write(this.#tip.firstElementChild, first);
    write(this.#tip.lastElementChild, more);
    const x = canvas.offsetLeft + this.#view.xAt(us) - 60,
      right = canvas.offsetLeft + canvas.offsetWidth - this.#tip.offsetWidth;
    const above = this.#view.topOf(row) - this.#tip.offsetHeight - 2,
      below = this.#view.topOf(row) + each.element.offsetHeight + 2;
    const left = Math.max(4, Math.min(x, right)),
      top = above < 0 ? below : above;
    this.#tip.style.transform = `translate(${left}px, ${top}px)`;
  }

  /** The picture in a sentence, beside the canvas: for who does not see it. */
  #describe(us) {
    const tally = new Map(),
      last = this.#marks(this.id).at(-1);
    for (const { state } of this.#history.lanes.values()) tally.set(state, (tally.get(state) ?? 0) + 1);
    const states = [...tally]
      .map(([state, n]) => `${format.count(n)} ${this.#history.name(state)}`)
      .join(", ");
    const mark = last ? ` Last mark: ${last.label}, ${format.duration((us - last.us) / 1e6)} ago.` : "";
    write(this.#summary, `${format.count(this.#history.lanes.size)} threads: ${states}.${mark}`);
  }
}
