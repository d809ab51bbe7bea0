// The last minute of some engines, one point per half second: means of rates, the maximum of the loop lag,
// the newest of counts.
const STEP_S = 0.5;
export const WINDOW_S = 60;
const ms = (us) => (us === null || us === undefined ? null : us / 1000);

/** Means and maxima by name, without missing values; null where all are missing. */
class Mean {
  #sums = new Map();

  add(name, value) {
    if (value === null || value === undefined) return;
    const each = this.#sums.get(name) ?? { sum: 0, n: 0, max: -Infinity };
    each.sum += value;
    each.max = Math.max(each.max, value);
    each.n++;
    this.#sums.set(name, each);
  }

  of(name) {
    const each = this.#sums.get(name);
    return each ? each.sum / each.n : null;
  }
  max(name) {
    return this.#sums.get(name)?.max ?? null;
  }
  named(prefix) {
    return [...this.#sums.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }
}

export class RollingSeries {
  #points = [];
  #step = null;
  #means = new Map();
  roles = [];

  get points() {
    return this.#points;
  }

  /** Returns whether a point was added. */
  update(frame, ids, hello) {
    const step = Math.floor(frame.t_s / STEP_S),
      jumped = this.#step !== null && step - this.#step > 3;
    // The clock went back, as after a restart of the lab's machine.
    if (step < this.#step) [this.#points, this.#step, this.#means] = [[], null, new Map()];
    this.#step ??= step;
    const moved = step !== this.#step;
    if (moved) {
      // A point without engines leaves a gap where frames are missing.
      if (jumped) this.#points.push({ t: (this.#step + 1) * STEP_S, engines: {} });
      this.#points.push({
        t: frame.t_s,
        engines: Object.fromEntries(
          ids.filter((id) => frame.engines[id]).map((id) => [id, this.#point(frame, id, hello)]),
        ),
      });
      this.#points = this.#points.filter(({ t }) => t > frame.t_s - WINDOW_S - 1);
      this.#step = step;
      this.#means.clear();
    }
    for (const id of ids) if (frame.engines[id]) this.#add(id, frame.engines[id], hello);
    return moved;
  }

  #add(id, engine, hello) {
    if (!this.#means.has(id)) this.#means.set(id, new Mean());
    const mean = this.#means.get(id);
    for (const name of [
      "requests_per_s",
      "cpu_percent",
      "switches_per_s",
      "queue_wait_us",
      "queue_depth",
      "loop_lag_us",
    ])
      mean.add(name, engine[name]);
    const roles = engine.cpu_percent_by_role ?? (engine.threads ? sumCpu(engine.threads) : null);
    for (const [role, cpu] of Object.entries(roles ?? {})) mean.add(`cpu ${role}`, cpu);
    if (!engine.threads) return;
    const tally = {};
    for (const row of engine.threads)
      tally[hello.thread_states[row[5]]] = (tally[hello.thread_states[row[5]]] ?? 0) + 1;
    for (const name of hello.thread_states) mean.add(`state ${name}`, tally[name] ?? 0);
    this.roles = [...new Set([...this.roles, ...engine.threads.map((row) => row[3])])];
  }

  #point(frame, id, hello) {
    const engine = frame.engines[id],
      mean = this.#means.get(id) ?? new Mean(),
      run = frame.run && String(frame.run.engine) === id ? frame.run : null;
    const all = (prefix) => {
      const names = mean.named(prefix);
      return names.length ? Object.fromEntries(names.map((name) => [name, mean.of(prefix + name)])) : null;
    };
    return {
      rate: mean.of("requests_per_s"),
      offered: run?.offered_per_s ?? null,
      response: ms(run?.response_p99_us ?? run?.p99_us ?? engine.p99_us),
      service: ms(run?.p99_us),
      p50: ms(run?.p50_us),
      connections: engine.connections
        ? Object.fromEntries(
            hello.connection_states.slice(1).map((name, i) => [name, engine.connections[i] ?? 0]),
          )
        : null,
      threads: all("state "),
      cpuByRole: all("cpu "),
      cpu: mean.of("cpu_percent"),
      rss: engine.rss_bytes === null || engine.rss_bytes === undefined ? null : engine.rss_bytes / 1048576,
      switches: mean.of("switches_per_s"),
      depth: mean.of("queue_depth"),
      wait: ms(mean.of("queue_wait_us")),
      lag: ms(mean.max("loop_lag_us")),
    };
  }
}

function sumCpu(threads) {
  const roles = {};
  for (const row of threads) if (row[8] !== null) roles[row[3]] = (roles[row[3]] ?? 0) + row[8];
  return roles;
}
