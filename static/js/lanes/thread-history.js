// What each thread of one engine did in the last minute, and the threads of a role together.
// Traced, durations are true: transitions one by one, or time shares of 5 ms. Untraced, a sample stands for
// its interval.
import { BIN_US, Bins, STATES } from "./time-bins.js";
import { JUMP_US } from "./timeline.js";
import { COARSE, GAP, Trail } from "./state-ring.js";

const SLACK_US = 2000,
  LATE = 2.5,
  BAND_FROM = 9,
  BINNED_MOST = 256;

class Lane {
  trail = new Trail();
  bins = null;
  until = 0;
  exact = true;

  constructor(key) {
    this.key = key;
  }

  /** In this state for so long; a state below 1 is none that is known, or no thread. */
  add(state, from, to) {
    this.#meet(from);
    if (this.exact || !this.bins) {
      this.trail.push(from, state > 0 ? state : GAP);
      this.trail.end = to;
    }
    if (state > 0) this.bins?.add(state, from, to);
    this.until = to;
  }

  /** Equal slices of an interval, each [state, permille, …]: too much happened to send it one by one. */
  slices(slices, from, to, band) {
    this.#meet(from);
    if (this.exact) {
      this.trail.push(from, COARSE);
      this.trail.end = to;
    }
    const step = (to - from) / slices.length;
    slices.forEach((slice, n) => {
      for (let i = 0; i < slice.length; i += 2) {
        if (slice[i] > 0)
          for (const bins of [this.bins, band])
            bins?.add(slice[i], from + n * step, from + (n + 1) * step, slice[i + 1] / 1000);
      }
    });
    this.until = to;
  }

  /** Nothing is known of the time since it was last heard of. */
  #meet(from) {
    if (this.until && from > this.until + SLACK_US && (this.exact || !this.bins))
      this.trail.push(this.until, GAP);
  }

  /** The µs of each state between two moments into `out`; answers whether they are exact. */
  shares(from, to, out) {
    out.fill(0);
    const known = this.trail.start <= from && from < this.trail.end;
    if (this.bins && !(known && to - from < BIN_US)) this.bins.sum(from, to, out);
    else this.trail.sum(from, to, out, this.bins);
    return known;
  }
}

class Band {
  bins = new Bins(Float32Array);
  size = 0;
  tally = new Uint32Array(STATES);

  constructor(role) {
    this.role = role;
    this.key = `band ${role}`;
  }

  /** As if all of them were one thread: the mean share of each state. */
  shares(from, to, out) {
    out.fill(0);
    this.bins.sum(from, to, out);
    const all = out.reduce((a, b) => a + b, 0);
    if (all) for (let state = 1; state < STATES; state++) out[state] *= (to - from) / all;
    return false;
  }
}

export class History {
  #names;
  #intervalUs;
  #spare = [];
  #binned = 0;
  lanes = new Map();
  bands = new Map();
  headUs = 0;
  traced = false;
  version = 0;

  constructor(names, intervalMs) {
    this.#names = names;
    this.#intervalUs = intervalMs * 1000;
  }

  get names() {
    return this.#names;
  }
  name(state) {
    return this.#names[state];
  }

  /**
   * Take an engine of a frame: threads are [slot, generation, tid, role, index, state, connections, rate,
   * cpu, …]. Answers the µs that were lost.
   */
  take({ threads, trace, samples }, tUs) {
    const to = trace?.to_us ?? tUs;
    if (to < this.headUs - JUMP_US) this.#forget();
    this.#meet(threads);
    if (!trace) for (const [us, states] of samples ?? []) this.#between(threads, states, us);
    const before = this.headUs,
      from = trace?.from_us ?? before;
    const lost =
      before && (trace ? from - before > SLACK_US : to - from > LATE * this.#intervalUs)
        ? to - before - this.#intervalUs
        : 0;
    if (to <= before) return 0;
    this.traced = Boolean(trace);
    if (trace) this.#traced(trace);
    const untraced = trace ? threads.filter(([slot]) => slot >= (trace.rings ?? Infinity)) : threads;
    if (untraced.length) this.#sampled(untraced, before && !lost ? from : to - this.#intervalUs, to);
    this.headUs = to;
    return Math.max(0, lost);
  }

  /** A sample that is older than the frame: states by slot. */
  #between(threads, states, us) {
    const from = this.headUs;
    if (us <= from) return;
    if (from && us - from <= LATE * this.#intervalUs)
      this.#sampled(
        threads.filter(([slot]) => states[slot]).map((row) => row.with(5, states[row[0]])),
        from,
        us,
      );
    this.headUs = us;
  }

  /** While someone looks at the past, exact states are kept as they are, and only the shares go on. */
  hold(on) {
    for (const lane of this.lanes.values()) {
      if (!on && !lane.exact) lane.trail.clear();
      lane.exact = !on || !lane.bins;
    }
  }

  #meet(threads) {
    const alive = new Set(),
      sizes = new Map();
    for (const row of threads) {
      const [slot, generation, tid, role, index, state] = row;
      if (this.name(state) === "ended") continue;
      const key = `${slot}:${generation}`;
      alive.add(key);
      sizes.set(role, (sizes.get(role) ?? 0) + 1);
      let lane = this.lanes.get(key);
      if (!lane) {
        this.lanes.set(key, (lane = new Lane(key)));
        this.version++;
      }
      Object.assign(lane, { slot, tid, role, index, state, row });
    }
    for (const [key, lane] of this.lanes) if (!alive.has(key)) this.#part(key, lane);
    for (const band of this.bands.values()) band.size = 0;
    for (const [role, size] of sizes) {
      if (size >= BAND_FROM && !this.bands.has(role)) this.bands.set(role, new Band(role));
      if (this.bands.has(role)) this.bands.get(role).size = size;
    }
  }

  /** Another clock has begun: nothing that is known has a place on it. */
  #forget() {
    for (const [key, lane] of this.lanes) this.#part(key, lane);
    this.bands.clear();
    this.headUs = 0;
  }

  #part(key, lane) {
    this.lanes.delete(key);
    this.version++;
    if (!lane.bins) return;
    lane.bins.reset();
    this.#spare.push(lane.bins);
    lane.bins = null; // its row may be on the page for a moment yet
  }

  #sampled(threads, from, to) {
    for (const band of this.bands.values()) band.tally.fill(0);
    for (const { 0: slot, 1: generation, 3: role, 5: state } of threads) {
      this.lanes.get(`${slot}:${generation}`)?.add(state, from, to);
      const band = this.bands.get(role);
      if (band) band.tally[state]++;
    }
    for (const band of this.bands.values())
      for (let state = 1; state < STATES; state++)
        if (band.tally[state]) band.bins.add(state, from, to, band.tally[state]);
  }

  #traced({ from_us: from, to_us: to, lanes }) {
    for (const [slot, generation, start, , transitions, slices] of lanes) {
      const lane = this.lanes.get(`${slot}:${generation}`);
      if (!lane) continue;
      if (!lane.bins && (this.#spare.length || this.#binned < BINNED_MOST))
        lane.bins = this.#spare.pop() ?? (this.#binned++, new Bins(Uint16Array));
      const band = this.bands.get(lane.role)?.bins;
      if (!transitions) {
        lane.slices(slices, from, to, band);
        continue;
      }
      let at = from,
        state = start;
      for (let i = 0; i <= transitions.length; i += 2) {
        const next = i < transitions.length ? Math.min(to, at + transitions[i]) : to;
        lane.add(state, at, next);
        if (state > 0) band?.add(state, at, next);
        [at, state] = [next, transitions[i + 1]];
      }
    }
  }
}

/** The share of a window in which it was not waiting; null where nothing is known. */
export function busy(each, from, to, quiet, out) {
  each.shares(from, to, out);
  let known = 0,
    resting = 0;
  for (let state = 1; state < STATES; state++) {
    known += out[state];
    if (quiet.has(state)) resting += out[state];
  }
  return known > 0 ? 1 - resting / known : null;
}
