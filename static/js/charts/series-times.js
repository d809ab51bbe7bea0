// The times of a run's series. A row is drawn at its end, as a live chart draws the second that has passed.

/**
 * Returns when each row ends, and when the warm-up ends (0: there was none), in seconds since the start.
 * A row ends where the next one starts, and the last one with the measured time of `measuredS` seconds.
 */
export function seriesTimes({ columns, rows }, measuredS) {
  if (!rows.length) return { ends: [], warmUpS: 0 };
  const [t, phase] = ["t_s", "phase"].map((name) => columns.indexOf(name)),
    starts = rows.map((row) => row[t]),
    first = rows.findIndex((row) => row[phase] === "measure");
  const last = first < 0 ? starts.at(-1) + 1 : Math.max(starts[first] + measuredS, starts.at(-1)),
    ends = [...starts.slice(1), Math.round(last * 1000) / 1000];
  return { ends, warmUpS: first < 0 ? ends.at(-1) : first && starts[first] };
}
