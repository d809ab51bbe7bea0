// What each thread of an engine did in the last minute, and the threads of a role together. Traced engines
// have exact durations: single transitions, or shares of 5 ms. Otherwise a sample stands for its interval.
import { BIN_US, TimeBins, STATES } from "./time-bins.js";
import { JUMP_US } from "./timeline.js";
import { COARSE, GAP, StateRing } from "./state-ring.js";

const SLACK_US = 2000,
  LATE_FACTOR = 2.5,
  MANY_PER_S = 10_000,
  RATE_SMOOTHING = 0.2,
  ROLE_LANE_MIN_THREADS = 9,
  BINNED_MAX = 256;

class Lane {
  states = new StateRing();
  bins = null;
  untilUs = 0;
  exact = true;
  changesPerS = 0; // of state, smoothed

  constructor(key) {
    this.key = key;
  }

  /** Add an interval in a state; a state below 1 means not known, or no thread. */
  add(state, from, to) {
    this.#markGap(from);
    if (this.exact || !this.bins) {
      this.states.push(from, state > 0 ? state : GAP);
      this.states.end = to;
    }
    if (state > 0) this.bins?.add(state, from, to);
    this.untilUs = to;
  }

  /** Add equal slices of an interval, each [state, permille, …]: there were too many transitions to send. */
  slices(slices, from, to, roleLane) {
    this.#markGap(from);
    if (this.exact) {
      this.states.push(from, COARSE);
      this.states.end = to;
    }
    const step = (to - from) / slices.length;
    slices.forEach((slice, n) => {
      for (let i = 0; i < slice.length; i += 2) {
        if (slice[i] > 0)
          for (const bins of [this.bins, roleLane])
            bins?.add(slice[i], from + n * step, from + (n + 1) * step, slice[i + 1] / 1000);
      }
    });
    this.untilUs = to;
  }

  /** Take the transitions of `us` into the mean rate of changes; null: there were too many to send. */
  countChanges(transitions, us) {
    if (us <= 0) return;
    const rate = transitions ? (transitions.length / 2 / us) * 1e6 : MANY_PER_S;
    this.changesPerS += (rate - this.changesPerS) * RATE_SMOOTHING;
  }

  /** Mark the time since the last interval as not known. */
  #markGap(from) {
    if (this.untilUs && from > this.untilUs + SLACK_US && (this.exact || !this.bins))
      this.states.push(this.untilUs, GAP);
  }

  /** Write the µs of each state between two times to `out`; returns whether they are exact. */
  shares(from, to, out) {
    out.fill(0);
    const known = this.states.start <= from && from < this.states.end;
    if (this.bins && !(known && to - from < BIN_US)) this.bins.sum(from, to, out);
    else this.states.sum(from, to, out, this.bins);
    return known;
  }
}

class RoleLane {
  bins = new TimeBins(Float32Array);
  size = 0;
  tally = new Uint32Array(STATES);

  constructor(role) {
    this.role = role;
    this.key = `band ${role}`;
  }

  /** Write the mean share of each state to `out`, as if all threads were one. */
  shares(from, to, out) {
    out.fill(0);
    this.bins.sum(from, to, out);
    const all = out.reduce((a, b) => a + b, 0);
    if (all) for (let state = 1; state < STATES; state++) out[state] *= (to - from) / all;
    return false;
  }
}

export class ThreadHistory {
  #names;
  #intervalUs;
  #kernel;
  #spare = [];
  #binned = 0;
  lanes = new Map();
  roleLanes = new Map();
  headUs = 0;
  firstUs = 0;
  traced = false;
  version = 0;

  /** `kernel`: the KernelStates of an external server; null: the states are those of a model's threads. */
  constructor(names, intervalMs, kernel = null) {
    this.#names = names;
    this.#kernel = kernel;
    this.#intervalUs = intervalMs * 1000;
  }

  get names() {
    return this.#names;
  }
  name(state) {
    return this.#kernel?.words(state) ?? this.#names[state];
  }

  /**
   * Add an engine of a frame; threads are [slot, generation, tid, role, index, state, connections, rate,
   * cpu, …]. Returns the µs without data before it.
   */
  update(engine, tUs) {
    const { threads, trace, samples } = this.#kernel ? this.#placed(engine) : engine;
    const to = trace?.to_us ?? tUs;
    if (to < this.headUs - JUMP_US) this.#reset();
    this.#syncThreads(threads);
    if (!trace) for (const [us, states] of samples ?? []) this.#addSample(threads, states, us);
    const before = this.headUs,
      from = trace?.from_us ?? before;
    const lost =
      before && (trace ? from - before > SLACK_US : to - from > LATE_FACTOR * this.#intervalUs)
        ? to - before - this.#intervalUs
        : 0;
    if (to <= before) return 0;
    this.traced = Boolean(trace);
    if (trace) this.#addTrace(trace);
    const untraced = trace ? threads.filter(([slot]) => slot >= (trace.rings ?? Infinity)) : threads;
    if (untraced.length) this.#addStates(untraced, before && !lost ? from : to - this.#intervalUs, to);
    this.firstUs ||= trace ? from : to - this.#intervalUs;
    this.headUs = to;
    return Math.max(0, lost);
  }

  /** Return threads and samples with the places of their kernel states. */
  #placed({ threads, samples }) {
    const place = (state) => this.#kernel.place(state);
    return {
      threads: threads.map((row) => row.with(5, place(row[5]))),
      samples: samples?.map(([us, states]) => [
        us,
        Object.fromEntries(Object.entries(states).map(([slot, state]) => [slot, place(state)])),
      ]),
    };
  }

  /** Add a sample that is older than the frame: states by slot. */
  #addSample(threads, states, us) {
    const from = this.headUs;
    if (us <= from) return;
    this.firstUs ||= us;
    if (from && us - from <= LATE_FACTOR * this.#intervalUs)
      this.#addStates(
        threads.filter(([slot]) => states[slot]).map((row) => row.with(5, states[row[0]])),
        from,
        us,
      );
    this.headUs = us;
  }

  /** While the timeline is paused, exact states are kept as they are; only the bins go on. */
  freeze(on) {
    for (const lane of this.lanes.values()) {
      if (!on && !lane.exact) lane.states.clear();
      lane.exact = !on || !lane.bins;
    }
  }

  #syncThreads(threads) {
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
    for (const [key, lane] of this.lanes) if (!alive.has(key)) this.#removeLane(key, lane);
    for (const roleLane of this.roleLanes.values()) roleLane.size = 0;
    for (const [role, size] of sizes) {
      if (size >= ROLE_LANE_MIN_THREADS && !this.roleLanes.has(role))
        this.roleLanes.set(role, new RoleLane(role));
      if (this.roleLanes.has(role)) this.roleLanes.get(role).size = size;
    }
  }

  /** Start again after a jump of the clock: the old times have no place on the new one. */
  #reset() {
    for (const [key, lane] of this.lanes) this.#removeLane(key, lane);
    this.roleLanes.clear();
    [this.headUs, this.firstUs] = [0, 0];
  }

  #removeLane(key, lane) {
    this.lanes.delete(key);
    this.version++;
    if (!lane.bins) return;
    lane.bins.reset();
    this.#spare.push(lane.bins);
    lane.bins = null; // its row may still be on the page
  }

  #addStates(threads, from, to) {
    for (const roleLane of this.roleLanes.values()) roleLane.tally.fill(0);
    for (const { 0: slot, 1: generation, 3: role, 5: state } of threads) {
      this.lanes.get(`${slot}:${generation}`)?.add(state, from, to);
      const roleLane = this.roleLanes.get(role);
      if (roleLane) roleLane.tally[state]++;
    }
    for (const roleLane of this.roleLanes.values())
      for (let state = 1; state < STATES; state++)
        if (roleLane.tally[state]) roleLane.bins.add(state, from, to, roleLane.tally[state]);
  }

  #addTrace({ from_us: from, to_us: to, lanes }) {
    for (const [slot, generation, start, , transitions, slices] of lanes) {
      const lane = this.lanes.get(`${slot}:${generation}`);
      if (!lane) continue;
      if (!lane.bins && (this.#spare.length || this.#binned < BINNED_MAX))
        lane.bins = this.#spare.pop() ?? (this.#binned++, new TimeBins(Uint16Array));
      lane.countChanges(transitions, to - from);
      const roleLane = this.roleLanes.get(lane.role)?.bins;
      if (!transitions) {
        lane.slices(slices, from, to, roleLane);
        continue;
      }
      let at = from,
        state = start;
      for (let i = 0; i <= transitions.length; i += 2) {
        const next = i < transitions.length ? Math.min(to, at + transitions[i]) : to;
        lane.add(state, at, next);
        if (state > 0) roleLane?.add(state, at, next);
        [at, state] = [next, transitions[i + 1]];
      }
    }
  }
}

/** The share of a window in which a thread was not waiting, 0 to 1; null where nothing is known. */
export function busyShare(each, from, to, idleStates, out) {
  each.shares(from, to, out);
  let known = 0,
    resting = 0;
  for (let state = 1; state < STATES; state++) {
    known += out[state];
    if (idleStates.has(state)) resting += out[state];
  }
  return known > 0 ? 1 - resting / known : null;
}
