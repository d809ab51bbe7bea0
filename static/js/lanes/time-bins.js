// How long a thread, or all threads of a role, was in each state, per 5 ms of the last minute.
export const BIN_US = 5000,
  STATES = 8;
const BINS = 12_000;

export class TimeBins {
  #cells;
  #newest = -1;

  /** `Cells` is Uint16Array for one thread (up to 5,000 µs), Float32Array for the sum of many. */
  constructor(Cells) {
    this.#cells = new Cells(BINS * STATES);
  }

  reset() {
    this.#cells.fill(0);
    this.#newest = -1;
  }

  add(state, from, to, weight = 1) {
    if (!(to > from) || state >= STATES) return;
    const last = Math.ceil(to / BIN_US) - 1;
    if (last > this.#newest) this.#advance(last);
    for (let bin = Math.max(Math.floor(from / BIN_US), this.#newest - BINS + 1); bin <= last; bin++) {
      const start = bin * BIN_US,
        end = start + BIN_US;
      this.#cells[(bin % BINS) * STATES + state] +=
        ((to < end ? to : end) - (from > start ? from : start)) * weight;
    }
  }

  /** Add to `out` the microseconds of each state between two times. */
  sum(from, to, out) {
    const last = Math.min(this.#newest, Math.ceil(to / BIN_US) - 1);
    for (let bin = Math.max(Math.floor(from / BIN_US), this.#newest - BINS + 1, 0); bin <= last; bin++) {
      const start = bin * BIN_US,
        end = start + BIN_US,
        at = (bin % BINS) * STATES;
      const part = ((to < end ? to : end) - (from > start ? from : start)) / BIN_US;
      for (let state = 1; state < STATES; state++) out[state] += this.#cells[at + state] * part;
    }
  }

  #advance(last) {
    if (last - this.#newest >= BINS) this.#cells.fill(0);
    else
      for (let bin = this.#newest + 1; bin <= last; bin++)
        this.#cells.fill(0, (bin % BINS) * STATES, ((bin % BINS) + 1) * STATES);
    this.#newest = last;
  }
}
