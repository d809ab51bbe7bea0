// How long a window of the lanes can be so that single changes of state can be seen, and whether the lanes
// show the utilisation instead because a pixel has several of them.
export const WINDOW_DEFAULT_US = 15e6;
const WINDOWS_US = [0.1e6, 0.2e6, 0.5e6, 1e6, 2e6, 5e6, WINDOW_DEFAULT_US],
  PX_PER_CHANGE = 1.5,
  CHANGES_PER_PX_MAX = 1,
  STAY = 0.7; // a window stays as long as it is at most this much too long

/** Changes of state per second of the busiest thread. */
export const changesPerS = (lanes) => Math.max(0, ...lanes.map((lane) => lane.changesPerS));

/**
 * Return the window in µs for lanes of `widthPx` whose busiest thread changes `rate` times per second.
 *
 * `knownUs` is the time of which anything is known, `nowUs` the present window. If no window is short enough
 * for single changes, it is the longest: then the lanes show the utilisation.
 */
export function autoWindowUs(rate, widthPx, knownUs, nowUs) {
  const most = Math.max(1e6, Math.min(WINDOW_DEFAULT_US, knownUs)),
    wanted = (widthPx / PX_PER_CHANGE / Math.max(rate, 1e-3)) * 1e6;
  if (wanted < WINDOWS_US[0]) return most;
  if (WINDOWS_US.includes(nowUs) && nowUs * STAY <= wanted && wanted < nowUs * 3 && nowUs <= most)
    return nowUs;
  return Math.min(
    most,
    WINDOWS_US.findLast((each) => each <= wanted),
  );
}

/** Whether a pixel of this many µs has several changes of state, so that its lane shows the utilisation. */
export const isDense = (rate, perPxUs) => rate * (perPxUs / 1e6) > CHANGES_PER_PX_MAX;
