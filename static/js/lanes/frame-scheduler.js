// Paints lanes on animation frames, as often as the window moves by a pixel. Lanes may take a tenth of the
// main thread: the slower they paint, the less often they do.
import { minPaintIntervalMs } from "../live/paint-rate.js";

const IDLE_FACTOR = 9,
  FRAME_MS = 17,
  INTERVAL_MAX_MS = 200;

export class FrameScheduler {
  #timeline;
  #lanes;
  #paintMs = 0;
  #timer = 0;
  #request = 0;

  /** `lanes()` returns the EngineLanes that are on the page now. */
  constructor(timeline, lanes) {
    [this.#timeline, this.#lanes] = [timeline, lanes];
    timeline.onChange(() => this.schedule(0));
    this.schedule(0);
  }

  /** Paint after this delay in milliseconds; replaces an earlier request. */
  schedule(inMs) {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#request);
    const ask = () => {
      this.#request = requestAnimationFrame((now) => this.#paintFrame(now));
    };
    if (inMs > FRAME_MS) this.#timer = setTimeout(ask, inMs - FRAME_MS / 2);
    else ask();
  }

  #paintFrame(now) {
    const started = performance.now(),
      timeline = this.#timeline,
      all = this.#lanes(),
      end = timeline.endAt(now),
      width = all[0]?.view.width;
    for (const lanes of all) lanes.paint(end);
    this.#paintMs += (performance.now() - started - this.#paintMs) * 0.1;
    const pixelMs =
      timeline.following && !timeline.isStepped && width ? timeline.span / width / 1000 : INTERVAL_MAX_MS;
    this.schedule(
      Math.max(
        minPaintIntervalMs(),
        Math.min(INTERVAL_MAX_MS, Math.max(pixelMs, this.#paintMs * IDLE_FACTOR)),
      ),
    );
  }
}
