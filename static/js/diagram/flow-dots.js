// Dots that move along the edges of a diagram, at the measured rates. Each stands for a number of requests;
// without fresh rates nothing moves.
import { minPaintIntervalMs } from "../live/paint-rate.js";

const TRAVEL_MS = 450,
  MS_PER_PIXEL = 2.2,
  TICK_MS = 30,
  STEPS = 24,
  DOTS_PER_S = 14,
  DOTS_MAX = 160,
  FRESH_MS = 600;
const NS = "http://www.w3.org/2000/svg";

export class FlowDots {
  #layer;
  #edges = [];
  #dots = [];
  #spare = [];
  #request = 0;
  #timer = 0;
  #lastMs = 0;
  #fedAt = 0;
  requestsPerDot = 1;

  constructor(layer) {
    this.#layer = layer;
  }

  /** edges: [{ path, kind, rate }]; the caller keeps `rate` (requests/s) up to date. */
  setEdges(edges) {
    this.#edges = edges.map((edge) => ({
      edge,
      due: Math.random(),
      travelMs: TRAVEL_MS + MS_PER_PIXEL * edge.path.getTotalLength(),
      points: samplePath(edge.path),
    }));
    this.stop();
  }

  /** Apply new rates. `total`: requests per second of the engine, which sets the requests per dot. */
  setTotalRate(total) {
    this.#fedAt = performance.now();
    if (total / this.requestsPerDot > 1.6 * DOTS_PER_S || total / this.requestsPerDot < DOTS_PER_S / 3)
      this.requestsPerDot = roundUp(total / DOTS_PER_S);
    if (this.#timer) return this.#requestFrame();
    if (this.#request || !this.#edges.some(({ edge }) => edge.rate > 0)) return;
    this.#lastMs = performance.now();
    this.#schedule();
  }

  stop() {
    for (const { circle } of this.#dots) circle.remove();
    this.#dots = [];
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#request);
    this.#timer = this.#request = 0;
  }

  #schedule() {
    const wait = minPaintIntervalMs();
    if (wait) this.#timer = setTimeout(() => this.#requestFrame(), wait);
    else this.#requestFrame();
  }

  #requestFrame() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#request ||= requestAnimationFrame((now) => this.#tick(now));
  }

  /** Runs for as long as rates are fresh or a dot is moving. */
  #tick(now) {
    this.#request = 0;
    if (!this.#layer.isConnected) return;
    const fresh = now - this.#fedAt < FRESH_MS;
    if (now - this.#lastMs >= TICK_MS) {
      const passed = Math.min(200, now - this.#lastMs);
      this.#lastMs = now;
      if (fresh) this.#emit(passed, now);
      this.#move(now);
    }
    if (this.#dots.length || (fresh && this.#edges.some(({ edge }) => edge.rate > 0))) this.#schedule();
  }

  #emit(passed, now) {
    for (const line of this.#edges) {
      line.due +=
        ((line.edge.rate || 0) /
          (line.edge.kind === "new" ? Math.max(1, this.requestsPerDot / 10) : this.requestsPerDot)) *
        (passed / 1000);
      for (; line.due >= 1; line.due = Math.min(line.due - 1, 3)) {
        if (this.#dots.length >= DOTS_MAX) continue;
        const circle = this.#spare.pop() ?? document.createElementNS(NS, "circle");
        circle.setAttribute("class", `dot ${line.edge.kind}`);
        circle.setAttribute("r", line.edge.kind === "new" ? "3.5" : "2.75");
        this.#layer.append(circle);
        this.#dots.push({ circle, line, born: now });
      }
    }
  }

  #move(now) {
    this.#dots = this.#dots.filter((dot) => {
      const way = ((now - dot.born) / dot.line.travelMs) * (STEPS - 1),
        at = Math.floor(way);
      if (at >= STEPS - 1) {
        dot.circle.remove();
        if (this.#spare.length < DOTS_MAX) this.#spare.push(dot.circle);
        return false;
      }
      const [a, b] = [dot.line.points[at], dot.line.points[at + 1]],
        part = way - at;
      dot.circle.setAttribute("cx", (a.x + (b.x - a.x) * part).toFixed(1));
      dot.circle.setAttribute("cy", (a.y + (b.y - a.y) * part).toFixed(1));
      return true;
    });
  }
}

/** Round up to 1, 2, 5, 10, 20 … */
function roundUp(least) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return ten * ([1, 2, 5].find((n) => n * ten >= least) ?? 10);
}

function samplePath(path) {
  const length = path.getTotalLength();
  return Array.from({ length: STEPS }, (_, i) => path.getPointAtLength((i / (STEPS - 1)) * length));
}
