// What each thread of the watched engine was doing: one cell a sample, the last half minute.
export const GAP = -1;                  // a frame that was lost is drawn as nothing
export const TICK_S = 0.1;
const TICKS = 320, BUSY_TICKS = 20, QUIET = new Set(["waiting", "queue", "ended"]);

export class History {
  #names; #lanes = new Map(); #marks = [];
  tick = 0;

  constructor(names) { this.#names = names; }

  get lanes() { return this.#lanes; }
  get marks() { return this.#marks.filter(({ tick }) => tick > this.tick - TICKS); }
  name(state) { return this.#names[state]; }

  mark(label, tick = this.tick) { this.#marks = [...this.marks, { tick, label }]; }

  /** Take the threads of a frame: rows of [slot, generation, tid, role, index, state, connections, rate, cpu]. */
  take(frame, threads) {
    const tick = Math.max(this.tick + 1, Math.round(frame.t_s / TICK_S));
    const missed = this.tick ? tick - this.tick - 1 : 0;
    if (missed > 1 || frame.skipped > 0) this.#lost(Math.max(missed, frame.skipped));
    const alive = new Set();
    for (const row of threads) {
      const [slot, generation, tid, role, index, state] = row;
      if (this.name(state) === "ended") continue;
      const key = `${slot}:${generation}`;
      alive.add(key);
      if (!this.#lanes.has(key)) this.#lanes.set(key, { key, cells: new Int8Array(TICKS).fill(GAP), born: tick });
      const lane = this.#lanes.get(key);
      for (let t = this.tick + 1; t < tick; t++) lane.cells[t % TICKS] = missed > 1 ? GAP : lane.state ?? GAP;
      lane.cells[tick % TICKS] = state;
      Object.assign(lane, { tid, role, index, state, row });
    }
    for (const key of this.#lanes.keys()) if (!alive.has(key)) this.#lanes.delete(key);
    this.tick = tick;
  }

  #lost(frames) {
    const last = this.#marks.at(-1);
    if (!last || this.tick - last.tick > 30) this.mark(`${frames} frame${frames > 1 ? "s" : ""} lost`);
  }

  stateAt(lane, tick) {
    return tick > this.tick || tick <= this.tick - TICKS || tick < lane.born ? GAP : lane.cells[tick % TICKS];
  }

  /** The share of the last two seconds' samples in which it was not waiting. */
  busy(lane, now = this.tick) {
    let seen = 0, on = 0;
    for (let t = now - BUSY_TICKS + 1; t <= now; t++) {
      const state = this.stateAt(lane, t);
      if (state === GAP) continue;
      seen++;
      if (!QUIET.has(this.name(state))) on++;
    }
    return seen ? on / seen : null;
  }
}
