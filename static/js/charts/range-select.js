// A time range of a run: a drag across one of its charts over time shows the figures of these seconds.
// The server computes them (fragments/run_range.html); all charts show the range.

const WIDTH_MIN_PX = 4; // less is a click

/** The range whose figures are shown: [from, to] in seconds; null: none. */
function shownRange() {
  const table = document.querySelector("#range [data-range-from]");
  return table ? [Number(table.dataset.rangeFrom), Number(table.dataset.rangeTo)] : null;
}

function submit([from, to]) {
  const form = document.querySelector("#range form");
  if (!form) return;
  form.elements.from_s.value = from.toFixed(2);
  form.elements.to_s.value = to.toFixed(2);
  form.requestSubmit();
}

function mark(u) {
  const range = shownRange(),
    [left, right] = range ? range.map((t) => u.valToPos(t, "x")) : [0, 0],
    height = range ? u.bbox.height / devicePixelRatio : 0;
  u.setSelect({ left, width: Math.max(0, right - left), top: 0, height }, false);
}

/** A copied link, or a reload, shows the same range. */
function keepInUrl() {
  const form = document.querySelector("#range form");
  if (!shownRange() || !form) return;
  const typed = [...new FormData(form)].filter(([, value]) => value);
  history.replaceState(history.state, "", `?${new URLSearchParams(typed)}`);
}

/** The option `drag` of a chart over time. */
export const selectsRange = { x: true, y: false, setScale: false, dist: WIDTH_MIN_PX };

/**
 * Let a drag across one of these uPlot charts show the figures of the seconds. Returns a function that marks
 * the shown range in all of them again.
 */
export function installRange(plots) {
  for (const u of plots) {
    u.hooks.setSelect = [
      ({ select: { left, width } }) => {
        if (width >= WIDTH_MIN_PX) submit([left, left + width].map((px) => Math.max(0, u.posToVal(px, "x"))));
      },
    ];
    (u.hooks.setSize ??= []).push(() => mark(u));
  }
  const markAll = () => plots.forEach(mark);
  markAll();
  return () => {
    markAll();
    keepInUrl();
  };
}
