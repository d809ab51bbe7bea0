// The connection grid: one dot per connection, grouped by owner thread. Only dots that changed are drawn.
import { prepareCanvas, font, coloursOf, redrawOnChange } from "../lib/canvas.js";
import { ConnectionWords } from "./connection-words.js";
import * as format from "../lib/format.js";
import { groupByRole, threadNamer, roleTitle } from "../lib/thread-roles.js";
import { ConnectionGroup } from "./connection-group.js";

const PITCH_MAX_PX = 12,
  PITCH_MIN_PX = 2,
  LABEL_PX = 18,
  GROUPS_MAX = 10,
  UNUSED_FACTOR_MAX = 2;
const STATES = ["idle", "recent", "reading", "queued", "handling", "writing"];

const COLLATE = new Intl.Collator("en", { numeric: true });

export class ConnectionGrid {
  #canvas;
  #tip;
  #states;
  #owners = new Map();
  #words = new ConnectionWords();
  #groups = new Map();
  #slots = new Map();
  #layout = null;
  #colours = null;
  #ctx = null;
  #selected = null;
  #unpainted = [];

  /** `states`: the names of connection states, by number. */
  constructor(canvas, tip, states) {
    [this.#canvas, this.#tip, this.#states] = [canvas, tip, states];
    canvas.addEventListener("pointermove", (e) => this.#select(this.#connectionAt(e.offsetX, e.offsetY)));
    canvas.addEventListener("pointerleave", () => this.#select(null));
    canvas.addEventListener("blur", () => this.#select(null));
    canvas.addEventListener("keydown", (e) => this.#onKey(e));
    this.attach();
  }

  /** To be called when the canvas is on the page: redraw it for as long as it is. */
  attach() {
    redrawOnChange(this.#canvas, () => {
      this.#colours = null;
      this.draw();
    });
  }

  get size() {
    return this.#words.size;
  }
  /** Connections by state; "recent" are idle ones that were active within the last second. */
  get totals() {
    const by = this.#words.countByState(this.#states.length),
      of = Object.fromEntries(this.#states.map((name, i) => [name, by[i]]));
    return { ...of, recent: this.#words.recentCount, idle: of.idle - this.#words.recentCount };
  }
  get groups() {
    return [...this.#groups.values()].filter(({ n }) => n).sort((a, b) => COLLATE.compare(a.name, b.name));
  }

  /** Connections of a group by state, for the table below the grid. */
  counts(group) {
    const by = Object.fromEntries(this.#states.map((name) => [name, 0]));
    for (const i of group.places) if (i >= 0) by[this.#states[this.#words.state(i)]]++;
    return by;
  }

  /**
   * `lanes` are the threads of the engine, which name the owners. Without `paint` the changes are drawn
   * with the next frame.
   */
  update(grid, tUs, lanes, paint = true) {
    const changed = [...new Set([...this.#unpainted, ...this.#words.update(grid, tUs)])];
    if (this.#updateOwners(lanes)) changed.push(...this.#slots.keys());
    this.#unpainted = paint ? [] : changed;
    if (!paint || !changed.length) return;
    const moved = changed.filter((i) => this.#updateSlot(i));
    if (!this.#layout || !this.#fits()) return this.draw();
    if (this.#colours) for (const i of changed) this.#drawDot(i);
    if (moved.length) this.#drawLabels();
  }

  /**
   * Update the names of owners; many threads of a role (one per connection) share a name. Returns whether a
   * name has changed.
   */
  #updateOwners(lanes) {
    const names = new Map();
    for (const [role, all] of groupByRole(lanes)) {
      const name = all.length > GROUPS_MAX ? () => roleTitle(role) : threadNamer(all);
      for (const lane of all) names.set(lane.slot, name(lane));
    }
    // An owner that was not known counts too: a connection often appears one frame before its thread.
    const renamed = [...names].some(([slot, name]) => this.#owners.get(slot) !== name);
    this.#owners = names;
    return renamed;
  }

  /** Allocate or release the place of a connection; returns whether that changed anything. */
  #updateSlot(i) {
    const slot = this.#slots.get(i),
      alive = this.#words.state(i) !== 0;
    const name = alive ? (this.#owners.get(this.#words.owner(i)) ?? "owner unknown") : null;
    if (slot?.group.name === name) return false;
    if (slot) {
      this.#clear(slot);
      slot.group.release(slot.place);
      this.#slots.delete(i);
    }
    if (!alive) return Boolean(slot);
    if (!this.#groups.has(name)) {
      this.#groups.set(name, new ConnectionGroup(name));
      this.#layout = null;
    }
    const group = this.#groups.get(name);
    this.#slots.set(i, { group, place: group.allocate(i) });
    return true;
  }

  /** Whether each group has room, and none is so much too large that the dots of others are small. */
  #fits() {
    const groups = [...this.#groups.values()],
      sum = (each) => groups.reduce((all, group) => all + each(group), 0);
    return (
      groups.every(({ places, capacity }) => places.length <= capacity) &&
      (this.#layout.pitch === PITCH_MAX_PX ||
        sum(({ capacity }) => capacity) <= UNUSED_FACTOR_MAX * sum(({ neededCapacity }) => neededCapacity))
    );
  }

  draw() {
    const { ctx, width, height } = prepareCanvas(this.#canvas);
    if (!width || !height) return;
    this.#ctx = ctx;
    this.#colours ??= coloursOf(this.#canvas, [
      "--text-2",
      "--text-3",
      "--focus",
      ...STATES.map((name) => `--state-${name}`),
    ]);
    this.#layOut(width, height);
    for (const i of this.#slots.keys()) this.#drawDot(i);
    this.#drawLabels();
  }

  /** Lay out all groups with the largest pitch that fits; empty groups are removed. */
  #layOut(width, height) {
    for (const { name, n } of this.#groups.values()) if (!n) this.#groups.delete(name);
    const groups = this.groups,
      needs = (pitch) =>
        groups.reduce(
          (sum, { neededCapacity }) =>
            sum + LABEL_PX + Math.ceil(neededCapacity / Math.floor(width / pitch)) * pitch + 4,
          0,
        );
    let pitch = PITCH_MAX_PX;
    while (pitch > PITCH_MIN_PX && needs(pitch) > height) pitch -= 0.25;
    const columns = Math.floor(width / pitch);
    let top = 0;
    for (const group of groups) {
      group.compact().forEach((i, place) => {
        this.#slots.get(i).place = place;
      });
      Object.assign(group, { capacity: group.neededCapacity, top: top + LABEL_PX });
      top += LABEL_PX + Math.ceil(group.capacity / columns) * pitch + 4;
    }
    this.#layout = { pitch, columns, dot: Math.max(1.25, pitch - (pitch > 4 ? 1.5 : 0.75)), width };
  }

  #position({ group, place }) {
    const { pitch, columns } = this.#layout;
    return [(place % columns) * pitch, group.top + Math.floor(place / columns) * pitch];
  }

  #clear(slot) {
    if (!this.#layout || !this.#ctx) return;
    const [x, y] = this.#position(slot),
      { pitch } = this.#layout;
    this.#ctx.clearRect(x, y, pitch, pitch);
  }

  #drawDot(i) {
    const slot = this.#slots.get(i);
    if (!slot) return;
    const [x, y] = this.#position(slot),
      { pitch, dot } = this.#layout,
      state = this.#states[this.#words.state(i)];
    this.#ctx.clearRect(x, y, pitch, pitch);
    this.#ctx.fillStyle = this.#colours[state === "idle" && this.#words.isRecent(i) ? "recent" : state];
    const more = state === "idle" ? 0 : Math.min(1, pitch - dot - 0.25);
    this.#ctx.fillRect(x, y, dot + more, dot + more);
  }

  #drawLabels() {
    const ctx = this.#ctx,
      { width } = this.#layout;
    ctx.font = font(this.#canvas, 11);
    ctx.textBaseline = "alphabetic";
    for (const { name, n, top } of this.#groups.values()) {
      ctx.clearRect(0, top - LABEL_PX, width, LABEL_PX - 1);
      ctx.fillStyle = this.#colours["text-2"];
      ctx.textAlign = "left";
      ctx.fillText(name, 0, top - 5);
      ctx.fillStyle = this.#colours["text-3"];
      ctx.textAlign = "right";
      ctx.fillText(format.count(n), width - 1, top - 5);
    }
  }

  #connectionAt(x, y) {
    if (!this.#layout) return null;
    const { pitch, columns } = this.#layout,
      column = Math.floor(x / pitch);
    if (column < 0 || column >= columns) return null;
    for (const group of this.groups) {
      const row = Math.floor((y - group.top) / pitch),
        i = row < 0 ? undefined : group.places[row * columns + column];
      if (i !== undefined && i >= 0 && row * columns + column < group.capacity) return i;
    }
    return null;
  }

  #onKey(event) {
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -(this.#layout?.columns ?? 1),
      ArrowDown: this.#layout?.columns ?? 1,
    }[event.key];
    if (!step || !this.#slots.size) return;
    event.preventDefault();
    const all = this.groups.flatMap(({ places }) => places.filter((i) => i >= 0)),
      at = all.indexOf(this.#selected);
    this.#select(all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + step))]);
  }

  #select(i) {
    this.#selected = i;
    const slot = this.#slots.get(i);
    this.#tip.hidden = !slot;
    if (!slot) return;
    const [x, y] = this.#position(slot),
      state = this.#states[this.#words.state(i)];
    const used = this.#words.isRecent(i) ? ", active < 1 s ago" : "";
    this.#tip.textContent = `descriptor ${i} · ${slot.group.name} · ${state}${used}`;
    const left = Math.max(0, Math.min(x - 20, this.#canvas.clientWidth - this.#tip.offsetWidth));
    this.#tip.style.transform = `translate(${left}px, ${Math.max(0, y - 30)}px)`;
  }
}
