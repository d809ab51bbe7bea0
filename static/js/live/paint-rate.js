// How often pages paint. While a run is measured they paint once or twice per second, everything at once:
// the browser may share CPUs with what is measured, and each paint takes some milliseconds.
import { live } from "./live-socket.js";

const REST_MS = 1000;

export const isMeasuring = () => Boolean(live.frame?.run);

/** The minimum time between two paints, unless new numbers come first; 0: no minimum. */
export const minPaintIntervalMs = () => (isMeasuring() ? REST_MS : 0);
