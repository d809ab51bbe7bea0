// Numbers on axes and in tables, where there is little room: 1.2k, 3.4M.
export const short = (v) =>
  v === null
    ? ""
    : Math.abs(v) >= 1e6
      ? `${+(v / 1e6).toFixed(1)}M`
      : Math.abs(v) >= 1e3
        ? `${+(v / 1e3).toFixed(1)}k`
        : String(+v.toFixed(3));
