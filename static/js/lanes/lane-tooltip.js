// The tooltip of a lane: the state at one time, its start and duration, and the current numbers of the
// thread.
import { STATES } from "./time-bins.js";
import * as format from "../lib/format.js";
import { COARSE, GAP } from "./state-ring.js";

export const STATE_TEXT = {
  waiting: "idle (waiting for I/O)",
  queue: "idle (queue empty)",
  blocked: "handler blocked (sleep/I/O)",
};
const EXACT_PIXEL_MAX_US = 20_000; // with more time per pixel the mix of states is more informative
const ago = (us) =>
  us < 1e6 ? `${format.latency(us)} ago` : `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s ago`;
const out = new Float64Array(STATES);

/**
 * The mix of states between two times, such as "handling 62 %, writing 12 %"; empty without data.
 */
function mixText(source, from, to, name) {
  source.shares(from, to, out);
  const parts = [...out]
    .map((us, state) => [us / (to - from), name(state)])
    .filter(([share]) => share >= 0.005)
    .sort((a, b) => b[0] - a[0]);
  return parts
    .map(([share, state]) => `${STATE_TEXT[state] ?? state} ${format.share(share).replace(/\.\d/, "")}`)
    .join(", ");
}

function stateAt(lane, us, history) {
  const i = lane.states.find(us);
  if (i < 0) return null;
  const { state, from, to } = lane.states.interval(i);
  if (state === COARSE) return null;
  if (state === GAP) return "no sample";
  const name = history.name(state),
    word = STATE_TEXT[name] ?? name,
    long = format.latency(to - from);
  if (to >= history.headUs) return `${word} for ${long}`;
  return `${word} from ${ago(history.headUs - from)}, for ${history.traced ? long : `about ${long}`}`;
}

export function tooltipText(history, { source, name, lane }, us, perPxUs) {
  const exact = lane && (!lane.bins || perPxUs < EXACT_PIXEL_MAX_US) ? stateAt(lane, us, history) : null;
  const mixed =
    exact ??
    (mixText(source, us - perPxUs / 2, us + perPxUs / 2, (state) => history.name(state)) || "no data");
  const when = `${format.latency(perPxUs)}, ${ago(Math.max(0, history.headUs - us))}`;
  const first = `${name} · ${mixed}${exact ? "" : ` of ${when}`}`;
  if (!lane) return [first, `${format.count(source.size)} threads`];
  const [, , tid, , , , connections, rate, cpu, runQueue, switches] = lane.row;
  const more = [
    `${format.count(connections)} connection${connections === 1 ? "" : "s"}`,
    `${format.rate(rate)} req/s`,
    `CPU ${format.percent(cpu)}`,
  ];
  if (runQueue !== undefined)
    more.push(`run-queue wait ${runQueue === null ? "–" : format.latency(runQueue)} per second`);
  if (switches !== undefined) more.push(`${format.count(switches)} switches/s`);
  return [first, `now ${more.join(", ")} · tid ${tid}`];
}
