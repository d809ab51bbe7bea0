// The last moments of a running engine as an excerpt: like an oscilloscope, each frame of the live socket
// replaces the picture.
const SLOW_US = 5000,
  IDLE = new Set(["waiting", "queue", "ended"]);

/** The spans of one lane of a frame's trace: [slot, generation, start, lost, transitions, slices]. */
function spansOf([, , start, , transitions], names, fromUs, toUs) {
  const spans = [];
  if (!transitions) return spans; // too many to send: the frame has shares of time only
  let at = fromUs,
    state = start;
  for (let i = 0; i <= transitions.length; i += 2) {
    const next = i < transitions.length ? Math.min(toUs, at + transitions[i]) : toUs;
    if (state > 0 && !IDLE.has(names[state]) && next > at)
      spans.push({ from_us: at, to_us: next, state: names[state], slow: false });
    [at, state] = [next, transitions[i + 1]];
  }
  return spans;
}

/** Keeps the last `windowUs` of one engine. */
export class LiveSpans {
  #windowUs;
  #title;
  #spans = new Map();

  constructor(title, windowUs) {
    [this.#title, this.#windowUs] = [title, windowUs];
  }

  /** The excerpt that ends with this frame; null if it has no trace of the engine. */
  excerpt({ threads, trace }, names) {
    if (!trace || !threads) return null;
    const begin = trace.to_us - this.#windowUs,
      rows = threads.filter(([, , , , , state]) => names[state] !== "ended"),
      roles = rows.map(([, , , role]) => role);
    for (const lane of trace.lanes) {
      const key = `${lane[0]}:${lane[1]}`,
        all = [...(this.#spans.get(key) ?? []), ...spansOf(lane, names, trace.from_us, trace.to_us)];
      this.#spans.set(
        key,
        all.filter(({ to_us }) => to_us > begin),
      );
    }
    return {
      title: this.#title,
      window_us: this.#windowUs,
      slow_us: null,
      threads_total: rows.length,
      requests: [],
      threads: rows.map(([slot, generation, , role, index, state]) => ({
        name: roles.filter((each) => each === role).length > 1 ? `${role} ${index + 1}` : role,
        idle: role === "worker" ? "queue" : "waiting",
        busy: !IDLE.has(names[state]),
        spans: joined(this.#spans.get(`${slot}:${generation}`) ?? [], begin),
      })),
    };
  }
}

/** Spans from the start of the window; parts of one span in two frames become one again. */
function joined(spans, begin) {
  const found = [];
  for (const { from_us, to_us, state } of spans) {
    const last = found.at(-1);
    if (last?.state === state && Math.abs(last.to_us - (from_us - begin)) < 1) last.to_us = to_us - begin;
    else found.push({ from_us: from_us - begin, to_us: to_us - begin, state, slow: false });
  }
  for (const span of found)
    span.slow =
      (span.state === "blocked" || span.state === "handling") && span.to_us - span.from_us >= SLOW_US;
  return found;
}
