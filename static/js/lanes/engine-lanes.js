// The thread lanes of one engine: its history, its thread table, the canvases over it, the tooltip and the
// summary.
import * as format from "../lib/format.js";
import { KernelStates } from "./kernel-states.js";
import { ThreadHistory } from "./thread-history.js";
import { LaneInput } from "./lane-input.js";
import { LaneView } from "./lane-view.js";
import { tooltipText } from "./lane-tooltip.js";
import { setText } from "../lib/dom.js";
import { ThreadTable } from "../live/thread-table.js";

const SUMMARY_INTERVAL_US = 2e6;

export class EngineLanes {
  #root;
  #timeline;
  #history = null;
  #table;
  #view;
  #tooltip;
  #marks;
  #onCursor;
  #summary;
  #summaryAtUs = 0;

  /**
   * `root` is a copy of the template, `marks(id)` returns [{ us, label }]. `onCursor(us)` is called with
   * the time of the cursor, `onChange()` when lanes must be painted at once.
   */
  constructor(root, id, { timeline, marks, onCursor, onChange }) {
    const find = (name) => root.querySelector(`[data-${name}]`);
    [this.#root, this.id, this.#timeline, this.#marks, this.#onCursor] = [
      root,
      id,
      timeline,
      marks,
      onCursor,
    ];
    this.#table = new ThreadTable(find("thread-rows"));
    this.#tooltip = find("lane-tip");
    this.#view = new LaneView({
      base: find("lanes-base"),
      over: find("lanes"),
      column: root.querySelector("th.lane"),
      timeline,
      marks: () => this.#marks(id),
      onChange,
    });
    new LaneInput(this.#view, timeline, (cursor) => this.#setCursor(cursor));
    this.#summary = find("lane-summary");
    Object.assign(this.#summary, { id: `lanes-of-${id}` });
    find("lanes").setAttribute("aria-describedby", `lanes-help ${this.#summary.id}`);
    find("lanes").setAttribute("aria-label", `Thread lanes of ${id}`);
  }

  get headUs() {
    return this.#history?.headUs ?? 0;
  }
  /** The µs since the first thing that is known. */
  get knownUs() {
    return this.#history ? this.#history.headUs - this.#history.firstUs : 0;
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

  /** Returns the µs without data before this frame. `legible`: text and rows may change with this frame. */
  update(engine, tUs, hello, legible) {
    if (!engine.threads) return 0;
    this.#history ??= new ThreadHistory(
      hello.thread_states,
      hello.interval_ms,
      engine.server ? new KernelStates(hello.thread_states) : null,
    );
    this.#root.dataset.tracing = engine.tracing ?? "";
    const lost = this.#history.update(engine, tUs);
    if (legible || !this.#table.rows.length) {
      this.#table.updateRows(this.#history);
      this.#view.show(this.#history, this.#table.rows);
    }
    return lost;
  }

  freeze(on) {
    this.#history?.freeze(on);
  }

  paint(endUs) {
    this.#view.paint(endUs);
  }

  /** Update numbers of the table and the tooltip; called a few times per second. */
  updateText(endUs) {
    if (!this.#history) return;
    if (endUs - this.#summaryAtUs > SUMMARY_INTERVAL_US || endUs < this.#summaryAtUs) {
      this.#summaryAtUs = endUs;
      this.#describe(endUs);
    }
    this.#table.updateText(this.#history, endUs - this.#timeline.span, endUs);
    if (this.#view.cursor?.row !== undefined) this.#showTooltip(this.#view.cursor);
  }

  /** Show the cursor of another panel at this time. */
  showCursorAt(us) {
    if (this.#view.cursor?.row === undefined) this.#view.setCursor(us === null ? null : { us });
  }

  #setCursor(cursor) {
    this.#view.setCursor(cursor);
    this.#tooltip.hidden = !cursor;
    this.#onCursor(cursor?.us ?? null, this);
    if (cursor) this.#showTooltip(cursor);
  }

  #showTooltip({ row, us }) {
    const each = this.#view.rows[row];
    this.#tooltip.hidden = !each?.source;
    if (this.#tooltip.hidden) return;
    const canvas = this.#view.over,
      [first, more] = tooltipText(this.#history, each, us, this.#timeline.span / this.#view.width);
    setText(this.#tooltip.firstElementChild, first);
    setText(this.#tooltip.lastElementChild, more);
    const x = canvas.offsetLeft + this.#view.xAt(us) - 60,
      right = canvas.offsetLeft + canvas.offsetWidth - this.#tooltip.offsetWidth;
    const above = this.#view.topOf(row) - this.#tooltip.offsetHeight - 2,
      below = this.#view.topOf(row) + each.element.offsetHeight + 2;
    const left = Math.max(4, Math.min(x, right)),
      top = above < 0 ? below : above;
    this.#tooltip.style.transform = `translate(${left}px, ${top}px)`;
  }

  /** Describe the lanes in a sentence for screen readers. */
  #describe(us) {
    const tally = new Map(),
      last = this.#marks(this.id).at(-1);
    for (const { state } of this.#history.lanes.values()) tally.set(state, (tally.get(state) ?? 0) + 1);
    const states = [...tally]
      .map(([state, n]) => `${format.count(n)} ${this.#history.name(state)}`)
      .join(", ");
    const mark = last ? ` Last mark: ${last.label}, ${format.duration((us - last.us) / 1e6)} ago.` : "";
    setText(this.#summary, `${format.count(this.#history.lanes.size)} threads: ${states}.${mark}`);
  }
}
