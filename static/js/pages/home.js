// The home page: the picture of one slow request, recorded, live, and as a replay of what was measured here.
import { live } from "../live/live-socket.js";
import { updateRunProgress } from "../live/run-progress.js";
import { setText } from "../lib/dom.js";
import { describe, loadExcerpts, loadJson, slowSpan, waitingAt } from "../replay/excerpts.js";
import { LiveSpans } from "../replay/live-spans.js";
import { play } from "../replay/playback.js";
import { SpanLanes } from "../replay/span-lanes.js";

const WINDOW_US = 120_000,
  REPLAY_S = 7,
  LANE_PX = 20,
  REQUESTS_PX = [68, 20]; // of the reactor, of the pool
const LOADING = new Set(["starting", "loading"]);

class Demonstration {
  #root;
  #stacks;
  #excerpts = [];
  #stop = () => {};
  #live = new Map();

  constructor(root) {
    this.#root = root;
    const canvases = [...root.querySelectorAll("canvas[data-stack]")];
    this.#stacks = canvases.map(
      (canvas, i) => new SpanLanes(canvas, { axis: i === 0, lanePx: LANE_PX, requestsPx: REQUESTS_PX[i] }),
    );
  }

  get state() {
    return this.#root.dataset.demonstration;
  }

  /** Stop what moves: the block is about to be replaced. */
  end() {
    this.#stop();
  }

  async begin() {
    const panel = this.#root.querySelector(".demo"),
      { excerpts, recorded } = panel.dataset;
    try {
      this.#excerpts = excerpts
        ? await loadExcerpts(excerpts.split(" "))
        : await this.#loadRecorded(recorded);
    } catch {
      setText(this.#find("source"), "The recording could not be loaded.");
      return;
    }
    this.#stacks.forEach((stack, i) => stack.show(this.#excerpts[i], this.#marks(i)));
    this.#describe();
    if (excerpts) this.#stop = play(this.#excerpts[0].window_us, REPLAY_S, (us) => this.#showUntil(us));
    else this.#showRecording();
  }

  async #loadRecorded(url) {
    const { excerpts, cores, recorded_at } = await loadJson(url),
      date = new Date(recorded_at).toLocaleDateString("en-GB", { dateStyle: "long" });
    if (!LOADING.has(this.state)) setText(this.#find("source"), `Recorded on ${cores} CPUs, ${date}`);
    return excerpts;
  }

  #find(name) {
    return this.#root.querySelector(`[data-${name}]`);
  }

  /** The recording stops where the slow request arrives: the button continues it. */
  #showRecording() {
    const label = LOADING.has(this.state) ? "" : "a slow request arrives";
    this.#stacks.forEach((stack, i) => {
      stack.showUntil((slowSpan(this.#excerpts[i])?.from_us ?? 0) + 1000, label);
    });
  }

  #showUntil(us) {
    const slow = slowSpan(this.#excerpts[0]);
    for (const stack of this.#stacks) stack.showUntil(us >= this.#excerpts[0].window_us ? Infinity : us);
    if (!slow) return;
    const steps = this.#stepTimes(slow);
    this.#root.querySelector(".captions").dataset.step = steps.filter((at) => us >= at).length;
    setText(this.#find("waiting"), String(waitingAt(this.#excerpts[0], Math.min(us, slow.to_us - 1))));
  }

  /** When each caption appears. */
  #stepTimes({ from_us, to_us }) {
    const length = to_us - from_us;
    return [from_us + 1, from_us + length * 0.6, to_us + length * 0.15];
  }

  /** The numbers of the captions on the lanes of stack `i`. */
  #marks(i) {
    const slow = slowSpan(this.#excerpts[i]);
    if (!slow) return [];
    const [first, second, third] = this.#stepTimes(slow),
      others = this.#excerpts[i].threads.findIndex(({ role }, row) => role === "worker" && row !== slow.row);
    if (i > 0) return others < 0 ? [] : [{ us: third, row: others, n: 3 }];
    return [
      { us: first + (slow.to_us - slow.from_us) * 0.06, row: slow.row, n: 1 },
      { us: second, row: -1, n: 2 },
    ];
  }

  #describe() {
    this.#root.querySelectorAll("canvas[data-stack]").forEach((canvas, i) => {
      canvas.setAttribute("aria-label", describe(this.#excerpts[i]));
    });
  }

  /** While the servers are under load, show the last moments of each. */
  showFrame(frame) {
    if (this.state !== "loading" || !live.hello) return;
    const sections = this.#root.querySelectorAll(".stacks > section");
    sections.forEach((section, i) => {
      const { model } = section.dataset,
        engine = Object.values(frame.engines).findLast((each) => each.model === model && each.trace);
      if (!engine) return;
      if (!this.#live.has(model)) this.#live.set(model, new LiveSpans(model, WINDOW_US));
      const excerpt = this.#live.get(model).excerpt(engine, live.hello.thread_states);
      if (!excerpt) return;
      this.#stacks[i].show(excerpt);
      this.#stacks[i].showUntil(Infinity);
    });
  }
}

let shown = null;

/** Take over the block of the demonstration, which may have been replaced. */
function mount() {
  const root = document.querySelector("[data-demonstration]");
  if (!root || root === shown?.root) return;
  shown?.demonstration.end();
  const demonstration = new Demonstration(root);
  shown = { root, demonstration };
  watchEngines(demonstration.state);
  demonstration.begin();
}

/** Frames have traces only while they are shown. */
function watchEngines(state) {
  const on = state === "loading";
  live.subscribe({ engines: on ? "all" : [], threads: on, trace: on, interval_ms: on ? 100 : 1000 });
}

updateRunProgress();
live.onFrame((frame) => shown?.demonstration.showFrame(frame));
document.addEventListener("htmx:after:swap", mount);
mount();
