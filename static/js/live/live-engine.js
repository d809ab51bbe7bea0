// The thread lanes of the one engine that a model's or server's page shows.
import { EngineLanes } from "../lanes/engine-lanes.js";
import { live } from "./live-socket.js";
import { fillNumbers } from "./live-numbers.js";
import { FrameScheduler } from "../lanes/frame-scheduler.js";
import { Timeline } from "../lanes/timeline.js";

const find = (name) => document.querySelector(`[data-${name}]`);
const TEXT_INTERVAL_MS = 250,
  WINDOW_US = 10e6; // the length of the window

export class LiveEngine {
  #id = null;
  #timeline = new Timeline();
  #lanes = null;
  #nextTextMs = 0;
  #highlighted = null;
  #scheduler;

  constructor() {
    this.#timeline.show(WINDOW_US);
    this.#scheduler = new FrameScheduler(this.#timeline, () => (this.#lanes ? [this.#lanes] : []));
    this.#timeline.onChange(() => this.#lanes?.freeze(!this.#timeline.following));
    live.onFrame((frame) => this.#frame(frame));
    document.addEventListener("htmx:after:swap", () => this.#followCard());
    this.#followCard();
  }

  highlight(states) {
    this.#highlighted = states;
    this.#lanes?.view.highlight(states);
  }

  #followCard() {
    const id = find("engine").dataset.engine || null;
    if (id !== this.#id) this.#lanes = null;
    this.#id = id;
    if (!id) find("moving").hidden = true;
    live.subscribe({ engines: id ? [id] : [], threads: Boolean(id), trace: Boolean(id), interval_ms: 100 });
    if (live.frame) fillNumbers(live.frame);
  }

  #frame(frame) {
    const engine = frame.engines[this.#id],
      now = performance.now();
    if (!engine?.threads || !live.hello) return;
    if (!this.#lanes) this.#create();
    this.#lanes.update(engine, frame.t_s * 1e6, live.hello, frame.legible);
    this.#timeline.update(this.#lanes.headUs, now);
    if (now < this.#nextTextMs) return;
    this.#nextTextMs = now + TEXT_INTERVAL_MS;
    this.#lanes.updateText(this.#timeline.endAt(now));
  }

  #create() {
    const root = find("lanes-template").content.firstElementChild.cloneNode(true);
    find("moving").replaceChildren(root);
    find("moving").hidden = false;
    this.#lanes = new EngineLanes(root, this.#id, {
      timeline: this.#timeline,
      marks: () => [],
      onCursor: () => {},
      onChange: () => this.#scheduler.schedule(0),
    });
    this.#lanes.view.attach();
    this.#lanes.view.highlight(this.#highlighted);
  }
}
