// Marks of events on the time axis that lanes and charts share.
const MARKS_MAX = 60;
const RUN = {
  "run.warming": "run started",
  "run.running": "measuring",
  "run.finished": "run ended",
  "run.stopped": "run stopped",
  "run.failed": "run failed",
};
const ENGINE = {
  "engine.draining": "draining",
  "engine.exited": "exited",
  "engine.failed": "failed",
  "engine.ready": "ready",
};

const LOST = new Set(["engine.exited", "engine.failed"]);

export class EventMarks {
  #list = [];

  add(us, label, engine = null) {
    this.#list = [...this.#list, { us, label, engine }].slice(-MARKS_MAX);
  }

  /** The marks of one engine, and those that belong to none. */
  of(id) {
    return this.#list.filter(({ engine }) => engine === null || engine === id);
  }

  among(ids) {
    return this.#list
      .filter(({ engine }) => engine === null || ids.includes(engine))
      .map((each) =>
        ids.length > 1 && each.engine ? { ...each, label: `${each.engine} ${each.label}` } : each,
      );
  }

  /** Add an event of the lab if it belongs to one of the engines `ids`. */
  addEvent({ event, engine, text }, us, ids, run) {
    const about = engine ?? run?.engine ?? null;
    if (!ids.includes(about)) return;
    if (event === "run.running" && !(run?.warmup_s > 0)) return;
    const signal = /SIG[A-Z]+/.exec(text ?? "")?.[0],
      label = RUN[event] ?? ENGINE[event];
    if (label) this.add(us, signal && LOST.has(event) ? `${label}, ${signal}` : label, about);
  }

  /** Mark lost frames, at most one mark in two seconds. */
  addLostFrames(us, lostUs, intervalMs) {
    const last = this.#list.at(-1),
      frames = Math.max(1, Math.round(lostUs / 1000 / intervalMs)),
      label =
        frames < 50 ? `${frames} frame${frames > 1 ? "s" : ""} lost` : `${(lostUs / 1e6).toFixed(0)} s lost`;
    if (!last || last.engine !== null || us - last.us > 2e6) this.add(us, label);
  }
}
