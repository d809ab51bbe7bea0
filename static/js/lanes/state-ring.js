// The exact states of one thread, newest last: a ring of (since, state) that grows with what happens, to a
// bound.
export const GAP = 255; // nothing is known: a lost frame is drawn as nothing
export const COARSE = 254; // more transitions than were sent one by one: the 5 ms shares know
const FIRST = 64,
  MOST = 16_384;

export class Trail {
  #at = new Float64Array(FIRST);
  #states = new Uint8Array(FIRST);
  #first = 0;
  #count = 0;
  end = 0; // until when the last state is known

  get start() {
    return this.#count ? this.#at[this.#first] : Infinity;
  }

  push(at, state) {
    const mask = this.#at.length - 1;
    if (this.#count && this.#states[(this.#first + this.#count - 1) & mask] === state) return;
    if (this.#count > mask) this.#room();
    const i = (this.#first + this.#count++) & (this.#at.length - 1);
    this.#at[i] = at;
    this.#states[i] = state;
  }

  clear() {
    this.#count = 0;
  }

  /** Which stay this moment falls into, or -1. */
  find(at) {
    if (at < this.start || at >= this.end) return -1;
    let low = 0,
      high = this.#count - 1;
    const mask = this.#at.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#at[(this.#first + middle) & mask] <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  stay(i) {
    return {
      state: this.#states[(this.#first + i) & (this.#at.length - 1)],
      from: this.#from(i),
      to: this.#from(i + 1),
    };
  }

  /** Add to `out` the microseconds of each state between two moments; where it is coarse, what `bins` say. */
  sum(from, to, out, bins) {
    let i = this.find(Math.max(from, this.start));
    if (i < 0) return;
    for (let at = Math.max(from, this.start); at < to && i < this.#count; i++) {
      const state = this.#states[(this.#first + i) & (this.#at.length - 1)],
        end = Math.min(to, this.#from(i + 1));
      if (state === COARSE) bins?.sum(at, end, out);
      else if (state !== GAP) out[state] += end - at;
      at = end;
    }
  }

  #from(i) {
    return i < this.#count ? this.#at[(this.#first + i) & (this.#at.length - 1)] : this.end;
  }

  #room() {
    const size = this.#at.length;
    if (size >= MOST) {
      this.#first = (this.#first + 1) & (size - 1);
      this.#count--;
      return;
    }
    const at = new Float64Array(size * 2),
      states = new Uint8Array(size * 2);
    for (let i = 0; i < size; i++)
      [at[i], states[i]] = [
        this.#at[(this.#first + i) & (size - 1)],
        this.#states[(this.#first + i) & (size - 1)],
      ];
    [this.#at, this.#states, this.#first] = [at, states, 0];
  }
}
