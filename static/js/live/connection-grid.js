// The connection grid: one dot a connection, in groups by the thread that owns it. Only dots that changed
// are drawn.
import { fit, font, inks, keepDrawn } from "../lib/canvas.js";
import { Crowd } from "./connection-words.js";
import * as format from "../lib/format.js";
import { byRole, naming, title } from "../lib/thread-roles.js";

const LARGEST_PX = 12,
  SMALLEST_PX = 2,
  LABEL_PX = 18,
  GROUPS_MOST = 10,
  SPARE = 1.15,
  WASTE = 2;
const TONES = ["idle", "recent", "reading", "queued", "handling", "writing"];

const COLLATE = new Intl.Collator("en", { numeric: true });

/** A place for each connection of one owner: one that is free, so that the others stay where they are. */
class Group {
  places = [];
  free = [];
  top = 0;
  capacity = 0;
  n = 0;

  constructor(name) {
    this.name = name;
  }

  seat(i) {
    const place = this.free.pop() ?? this.places.length;
    this.places[place] = i;
    this.n++;
    return place;
  }

  leave(place) {
    this.places[place] = -1;
    this.free.push(place);
    this.n--;
  }

  /** So many places it takes: some more than it has, so that who comes finds one. */
  get room() {
    return Math.ceil(this.n * SPARE) + 4;
  }

  /** Close the ranks; answers who stands where now. */
  pack() {
    [this.places, this.free] = [this.places.filter((i) => i >= 0), []];
    return this.places;
  }
}

export class ConnectionGrid {
  #canvas;
  #tip;
  #states;
  #owners = new Map();
  #crowd = new Crowd();
  #groups = new Map();
  #seats = new Map();
  #shape = null;
  #inks = null;
  #ctx = null;
  #at = null;
  #unpainted = [];

  /** `states` are the names of connection states, by number. */
  constructor(canvas, tip, states) {
    [this.#canvas, this.#tip, this.#states] = [canvas, tip, states];
    canvas.addEventListener("pointermove", (e) => this.#point(this.#hit(e.offsetX, e.offsetY)));
    canvas.addEventListener("pointerleave", () => this.#point(null));
    canvas.addEventListener("blur", () => this.#point(null));
    canvas.addEventListener("keydown", (e) => this.#key(e));
    this.attach();
  }

  /** The canvas is on the page now: keep it drawn for as long as it is. */
  attach() {
    keepDrawn(this.#canvas, () => {
      this.#inks = null;
      this.draw();
    });
  }

  get size() {
    return this.#crowd.size;
  }
  /** Connections by state; "recent" are those of the idle ones that were at work within the last second. */
  get totals() {
    const by = this.#crowd.counts(this.#states.length),
      of = Object.fromEntries(this.#states.map((name, i) => [name, by[i]]));
    return { ...of, recent: this.#crowd.recent, idle: of.idle - this.#crowd.recent };
  }
  get groups() {
    return [...this.#groups.values()].filter(({ n }) => n).sort((a, b) => COLLATE.compare(a.name, b.name));
  }

  /** How many connections of a group are in each state, for the table beside the picture. */
  counts(group) {
    const by = Object.fromEntries(this.#states.map((name) => [name, 0]));
    for (const i of group.places) if (i >= 0) by[this.#states[this.#crowd.state(i)]]++;
    return by;
  }

  /**
   * `lanes` are the engine's threads, for the names of owners; what is not painted now is painted with the
   * next frame.
   */
  take(grid, tUs, lanes, paint = true) {
    const changed = [...new Set([...this.#unpainted, ...this.#crowd.take(grid, tUs)])];
    if (this.#meet(lanes)) changed.push(...this.#seats.keys());
    this.#unpainted = paint ? [] : changed;
    if (!paint || !changed.length) return;
    const moved = changed.filter((i) => this.#seat(i));
    if (!this.#shape || !this.#fits()) return this.draw();
    if (this.#inks) for (const i of changed) this.#dot(i);
    if (moved.length) this.#labels();
  }

  /**
   * Owners by name; where they are many (a thread for each connection) by role. Answers whether one is
   * called something else now.
   */
  #meet(lanes) {
    const names = new Map();
    for (const [role, all] of byRole(lanes)) {
      const name = all.length > GROUPS_MOST ? () => title(role) : naming(all);
      for (const lane of all) names.set(lane.slot, name(lane));
    }
    // Also one that was not known before: a connection is often seen a frame before the thread that owns it.
    const renamed = [...names].some(([slot, name]) => this.#owners.get(slot) !== name);
    this.#owners = names;
    return renamed;
  }

  /** Give a connection its place, or take it away; answers whether that changed anything. */
  #seat(i) {
    const seat = this.#seats.get(i),
      alive = this.#crowd.state(i) !== 0;
    const name = alive ? (this.#owners.get(this.#crowd.owner(i)) ?? "no thread") : null;
    if (seat?.group.name === name) return false;
    if (seat) {
      this.#clear(seat);
      seat.group.leave(seat.place);
      this.#seats.delete(i);
    }
    if (!alive) return Boolean(seat);
    if (!this.#groups.has(name)) {
      this.#groups.set(name, new Group(name));
      this.#shape = null;
    }
    const group = this.#groups.get(name);
    this.#seats.set(i, { group, place: group.seat(i) });
    return true;
  }

  /** Whether each group has room, and none keeps others small for what it had once. */
  #fits() {
    const groups = [...this.#groups.values()],
      sum = (each) => groups.reduce((all, group) => all + each(group), 0);
    return (
      groups.every(({ places, capacity }) => places.length <= capacity) &&
      (this.#shape.pitch === LARGEST_PX || sum(({ capacity }) => capacity) <= WASTE * sum(({ room }) => room))
    );
  }

  draw() {
    const { ctx, width, height } = fit(this.#canvas);
    if (!width || !height) return;
    this.#ctx = ctx;
    this.#inks ??= inks(this.#canvas, [
      "--text-2",
      "--text-3",
      "--focus",
      ...TONES.map((name) => `--state-${name}`),
    ]);
    this.#arrange(width, height);
    for (const i of this.#seats.keys()) this.#dot(i);
    this.#labels();
  }

  /** The largest pitch at which all groups find room. Who has nobody left goes. */
  #arrange(width, height) {
    for (const { name, n } of this.#groups.values()) if (!n) this.#groups.delete(name);
    const groups = this.groups,
      needs = (pitch) =>
        groups.reduce(
          (sum, { room }) => sum + LABEL_PX + Math.ceil(room / Math.floor(width / pitch)) * pitch + 4,
          0,
        );
    let pitch = LARGEST_PX;
    while (pitch > SMALLEST_PX && needs(pitch) > height) pitch -= 0.25;
    const columns = Math.floor(width / pitch);
    let top = 0;
    for (const group of groups) {
      group.pack().forEach((i, place) => {
        this.#seats.get(i).place = place;
      });
      Object.assign(group, { capacity: group.room, top: top + LABEL_PX });
      top += LABEL_PX + Math.ceil(group.capacity / columns) * pitch + 4;
    }
    this.#shape = { pitch, columns, dot: Math.max(1.25, pitch - (pitch > 4 ? 1.5 : 0.75)), width };
  }

  #place({ group, place }) {
    const { pitch, columns } = this.#shape;
    return [(place % columns) * pitch, group.top + Math.floor(place / columns) * pitch];
  }

  #clear(seat) {
    if (!this.#shape || !this.#ctx) return;
    const [x, y] = this.#place(seat),
      { pitch } = this.#shape;
    this.#ctx.clearRect(x, y, pitch, pitch);
  }

  #dot(i) {
    const seat = this.#seats.get(i);
    if (!seat) return;
    const [x, y] = this.#place(seat),
      { pitch, dot } = this.#shape,
      state = this.#states[this.#crowd.state(i)];
    this.#ctx.clearRect(x, y, pitch, pitch);
    this.#ctx.fillStyle = this.#inks[state === "idle" && this.#crowd.isRecent(i) ? "recent" : state];
    const more = state === "idle" ? 0 : Math.min(1, pitch - dot - 0.25);
    this.#ctx.fillRect(x, y, dot + more, dot + more);
  }

  #labels() {
    const ctx = this.#ctx,
      { width } = this.#shape;
    ctx.font = font(this.#canvas, 11);
    ctx.textBaseline = "alphabetic";
    for (const { name, n, top } of this.#groups.values()) {
      ctx.clearRect(0, top - LABEL_PX, width, LABEL_PX - 1);
      ctx.fillStyle = this.#inks["text-2"];
      ctx.textAlign = "left";
      ctx.fillText(name, 0, top - 5);
      ctx.fillStyle = this.#inks["text-3"];
      ctx.textAlign = "right";
      ctx.fillText(format.count(n), width - 1, top - 5);
    }
  }

  #hit(x, y) {
    if (!this.#shape) return null;
    const { pitch, columns } = this.#shape,
      column = Math.floor(x / pitch);
    if (column < 0 || column >= columns) return null;
    for (const group of this.groups) {
      const row = Math.floor((y - group.top) / pitch),
        i = row < 0 ? undefined : group.places[row * columns + column];
      if (i !== undefined && i >= 0 && row * columns + column < group.capacity) return i;
    }
    return null;
  }

  #key(event) {
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -(this.#shape?.columns ?? 1),
      ArrowDown: this.#shape?.columns ?? 1,
    }[event.key];
    if (!step || !this.#seats.size) return;
    event.preventDefault();
    const all = this.groups.flatMap(({ places }) => places.filter((i) => i >= 0)),
      at = all.indexOf(this.#at);
    this.#point(all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + step))]);
  }

  #point(i) {
    this.#at = i;
    const seat = this.#seats.get(i);
    this.#tip.hidden = !seat;
    if (!seat) return;
    const [x, y] = this.#place(seat),
      state = this.#states[this.#crowd.state(i)];
    const used = this.#crowd.isRecent(i) ? ", just used" : "";
    this.#tip.textContent = `descriptor ${i} · ${seat.group.name} · ${state}${used}`;
    const left = Math.max(0, Math.min(x - 20, this.#canvas.clientWidth - this.#tip.offsetWidth));
    this.#tip.style.transform = `translate(${left}px, ${Math.max(0, y - 30)}px)`;
  }
}
