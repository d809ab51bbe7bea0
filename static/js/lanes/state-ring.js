// The exact states of one thread: a ring buffer of (start, state), newest last, that grows up to a limit.
export const GAP = 255; // nothing is known: a lost frame is drawn empty
export const COARSE = 254; // too many transitions to send one by one: see the bins of 5 ms
const CAPACITY_MIN = 64,
  CAPACITY_MAX = 16_384;

export class StateRing {
  #times = new Float64Array(CAPACITY_MIN);
  #states = new Uint8Array(CAPACITY_MIN);
  #start = 0;
  #count = 0;
  end = 0; // the time until which the last state is known

  get start() {
    return this.#count ? this.#times[this.#start] : Infinity;
  }

  push(at, state) {
    const mask = this.#times.length - 1;
    if (this.#count && this.#states[(this.#start + this.#count - 1) & mask] === state) return;
    if (this.#count > mask) this.#grow();
    const i = (this.#start + this.#count++) & (this.#times.length - 1);
    this.#times[i] = at;
    this.#states[i] = state;
  }

  clear() {
    this.#count = 0;
  }

  /** The index of the interval that contains this time, or -1. */
  find(at) {
    if (at < this.start || at >= this.end) return -1;
    let low = 0,
      high = this.#count - 1;
    const mask = this.#times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#times[(this.#start + middle) & mask] <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  interval(i) {
    return {
      state: this.#states[(this.#start + i) & (this.#times.length - 1)],
      from: this.#from(i),
      to: this.#from(i + 1),
    };
  }

  /**
   * Add to `out` the microseconds of each state between two times; coarse intervals are taken from `bins`.
   */
  sum(from, to, out, bins) {
    let i = this.find(Math.max(from, this.start));
    if (i < 0) return;
    for (let at = Math.max(from, this.start); at < to && i < this.#count; i++) {
      const state = this.#states[(this.#start + i) & (this.#times.length - 1)],
        end = Math.min(to, this.#from(i + 1));
      if (state === COARSE) bins?.sum(at, end, out);
      else if (state !== GAP) out[state] += end - at;
      at = end;
    }
  }

  #from(i) {
    return i < this.#count ? this.#times[(this.#start + i) & (this.#times.length - 1)] : this.end;
  }

  #grow() {
    const size = this.#times.length;
    if (size >= CAPACITY_MAX) {
      this.#start = (this.#start + 1) & (size - 1);
      this.#count--;
      return;
    }
    const at = new Float64Array(size * 2),
      states = new Uint8Array(size * 2);
    for (let i = 0; i < size; i++)
      [at[i], states[i]] = [
        this.#times[(this.#start + i) & (size - 1)],
        this.#states[(this.#start + i) & (size - 1)],
      ];
    [this.#times, this.#states, this.#start] = [at, states, 0];
  }
}
