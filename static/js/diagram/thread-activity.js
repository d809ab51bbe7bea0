// What one thread did in the last two seconds, from the rows of frames.
export const STATES_KEPT = 20;
export const BUSY_STATES = ["accepting", "reading", "handling", "blocked", "writing"];
const SMOOTHING = 0.15;

/** The next value of an exponential moving average; `old` and `value` may be null. */
export function smoothed(old, value) {
  if (value === null) return old;
  return old === null ? value : old + SMOOTHING * (value - old);
}

export class ThreadActivity {
  states = [];
  rate = null;
  cpu = null;

  /** `row` is that of a thread in a frame; `nameOf` returns the name of a state by its number. */
  update([, , , role, index, state, connections, rate, cpu], nameOf) {
    Object.assign(this, { role, index, connections, state: nameOf(state) });
    this.states = [...this.states.slice(1 - STATES_KEPT), this.state];
    this.rate = smoothed(this.rate, rate);
    this.cpu = smoothed(this.cpu, cpu);
  }

  /** The share of samples in a state, 0 to 1. */
  share(state) {
    return this.states.filter((each) => each === state).length / this.states.length;
  }

  /** The share of samples in which it was not waiting, 0 to 1. */
  get busy() {
    return this.states.filter((each) => BUSY_STATES.includes(each)).length / this.states.length;
  }

  /** Whether it has been seen for long enough to judge. */
  get isKnown() {
    return this.states.length >= STATES_KEPT;
  }
}
