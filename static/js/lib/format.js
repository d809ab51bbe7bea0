// Numbers as text, formatted as app/pages/looks.py does. A missing value is an en dash, never 0.
const DASH = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const known = (text) => (value) => (value === null || value === undefined ? DASH : text(value));

export const count = known((v) => whole.format(v));
export const rate = known((v) => (v > 0 && v < 10 ? v.toFixed(1) : whole.format(v)));
export const percent = known((v) => `${v > 0 && v < 10 ? v.toFixed(1) : v.toFixed(0)} %`);
export const share = known((v) => `${(v * 100).toFixed(1)} %`.replace(".0 %", " %"));
export const decimal = known((v) => v.toFixed(1));

export const latency = known((us) => {
  const [scale, unit] = us < 1e3 ? [1, "µs"] : us < 1e6 ? [1e3, "ms"] : [1e6, "s"];
  const v = us / scale;
  return `${v.toFixed(v >= 100 || (unit === "µs" && v >= 10) ? 0 : 1)} ${unit}`;
});

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
