// While a run is measured, a page paints twice a second, everything at once: it may share its CPUs with
// what is measured, and each painting takes some milliseconds.
import { live } from "./live-socket.js";

const REST_MS = 1000;

export const isMeasuring = () => Boolean(live.frame?.run);

/**
 * How long to wait from one painting to the next, unless new numbers come before; 0: as short as one likes.
 */
export const minPaintIntervalMs = () => (isMeasuring() ? REST_MS : 0);
