// Numbers as text, in the formats of app/format.py. A missing value is an en dash, never 0.
const DASH = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fixed = (v, places) =>
  v < 1000
    ? v.toFixed(places)
    : v.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
const known = (text) => (value) => (value === null || value === undefined ? DASH : text(value));

export const count = known((v) => whole.format(v));
export const rate = known((v) => (v > 0 && v < 100 ? v.toFixed(1).replace(".0", "") : whole.format(v)));
export const percent = known((v) => `${v > 0 && v < 10 ? v.toFixed(1) : v.toFixed(0)} %`);
export const share = known((v) => `${(v * 100).toFixed(1)} %`.replace(".0 %", " %"));
export const decimal = (value, places = 1) => known((v) => fixed(v, places))(value);

// [upper limit in µs, µs per unit, unit, decimals], as in app/format.py: the limits are those of the rounded
// values, so that 9.996 ms is 10.0 ms and not 10.00 ms.
const TIME_UNITS = [
  [9.95, 1, "µs", 1],
  [999.5, 1, "µs", 0],
  [9_995, 1e3, "ms", 2],
  [99_950, 1e3, "ms", 1],
  [999_500, 1e3, "ms", 0],
  [99.95e6, 1e6, "s", 1],
  [Infinity, 1e6, "s", 0],
];
const timeUnit = (us) => TIME_UNITS.find(([limit]) => us < limit) ?? TIME_UNITS.at(-1);

/** A time given in µs: 4.1 µs, 85 µs, 4.90 ms, 48.2 ms, 103 ms, 1.2 s. */
export const latency = known((us) => {
  const [, scale, unit, places] = timeUnit(us);
  return `${fixed(us / scale, us ? places : 0)} ${unit}`;
});

/** The label of an axis tick at a round number of µs: 1 ms, 2.5 ms, 20 s. */
export const latencyTick = (us) => {
  const [, scale, unit] = timeUnit(us);
  return `${+(us / scale).toPrecision(6)} ${unit}`;
};

export const bytes = known((v) => {
  const units = ["B", "KiB", "MiB", "GiB"];
  while (v >= 1000 && units.length > 1) {
    v /= 1024;
    units.shift();
  }
  return `${units[0] !== "B" && v < 10 ? v.toFixed(1) : whole.format(v)} ${units[0]}`;
});

export const duration = known((s) => {
  const v = Math.floor(s);
  if (v < 60) return `${v} s`;
  return v < 3600
    ? `${Math.floor(v / 60)} min`
    : `${Math.floor(v / 3600)} h ${Math.floor((v % 3600) / 60)} min`;
});

/** A number where there is little room, as on axes: 1.2k, 3.4M. */
export const short = (v) =>
  v === null
    ? ""
    : Math.abs(v) >= 1e6
      ? `${+(v / 1e6).toFixed(1)}M`
      : Math.abs(v) >= 1e3
        ? `${+(v / 1e3).toFixed(1)}k`
        : String(+v.toFixed(3));
