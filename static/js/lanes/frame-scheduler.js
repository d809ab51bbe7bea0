// Paints lanes on animation frames, as often as there is another pixel to show and no more.
// Lanes may take a tenth of the main thread: what is slow to paint is painted less often.
import { restMs } from "../live/paint-rate.js";

const REST = 9,
  FRAME_MS = 17,
  IDLE_MS = 200,
  CALM_US = 1e6;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  #timeline;
  #lanes;
  #cost = 0;
  #timer = 0;
  #asked = 0;

  /** `lanes()` answers the EngineLanes that are on the page now. */
  constructor(timeline, lanes) {
    [this.#timeline, this.#lanes] = [timeline, lanes];
    timeline.onChange(() => this.next(0));
    this.next(0);
  }

  /** Paint again in so many milliseconds, or sooner. */
  next(inMs) {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#asked);
    const ask = () => {
      this.#asked = requestAnimationFrame((now) => this.#step(now));
    };
    if (inMs > FRAME_MS) this.#timer = setTimeout(ask, inMs - FRAME_MS / 2);
    else ask();
  }

  #step(now) {
    const started = performance.now(),
      timeline = this.#timeline,
      all = this.#lanes(),
      end = timeline.endAt(now),
      width = all[0]?.view.width;
    const shown = calm.matches && timeline.following ? Math.floor(end / CALM_US) * CALM_US : end;
    for (const lanes of all) lanes.step(shown);
    this.#cost += (performance.now() - started - this.#cost) * 0.1;
    const pixelMs = timeline.following && width ? timeline.span / width / 1000 : IDLE_MS;
    this.next(Math.max(restMs(), Math.min(IDLE_MS, Math.max(pixelMs, this.#cost * REST))));
  }
}
