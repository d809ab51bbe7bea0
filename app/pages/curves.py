"""The geometry of curves of claims, in units of their SVG, and their tables. Pure.

The x axis is logarithmic and has a label for each value that is measured. The y axis begins at 0, or is
logarithmic with powers of ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median

from app.experiments.curve import Curve, Mark
from app.experiments.evidence import Evidence
from app.experiments.measurements import measurement
from app.results.checks import capitalised

WIDTH, NARROW_WIDTH, HEIGHT = 640, 330, 300
LEFT, RIGHT, TOP, FOOT = 78, 14, 26, 260
INSET = 22  # of the first and the last point from the ends of the x axis
TICK_GAP, LABEL_GAP = 34, 14
LINEAR_TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)
SHAPES = {"reactor": "circle", "reactor-pool": "diamond"}  # as their markers; others are squares


@dataclass(frozen=True, slots=True)
class CurveTick:
    """A label of an axis. `at`: its place on it."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class CurveLine:
    """A line through medians, with a dot for each round. `shape`: tells lines apart without colour."""

    name: str
    model: str
    path: str
    dots: tuple[tuple[float, float], ...]
    shape: str  # circle, diamond or square
    label: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CurveMark:
    """What the claim says: a path, with its words beside it."""

    path: str
    text: str
    label: tuple[float, float]
    anchor: str


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """One drawing of a curve."""

    width: float
    height: float
    left: float
    right: float
    top: float
    foot: float
    x_ticks: tuple[CurveTick, ...]
    y_ticks: tuple[CurveTick, ...]
    lines: tuple[CurveLine, ...]
    mark: CurveMark | None


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A row of the table: a value of x, with the median and the range of each line; empty: not measured."""

    x: str
    cells: tuple[tuple[str, str], ...]
    claimed: str


@dataclass(frozen=True, slots=True)
class CurveView:
    """A curve, wide and narrow, with its titles, its table, and what it shows of the claim."""

    title: str
    x_title: str
    wide: CurvePlot
    narrow: CurvePlot
    names: tuple[str, ...]
    rows: tuple[CurveRow, ...]
    claimed: str
    note: str


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` at `start` to `high` at `end`, in units of the SVG."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """Return the place of a value; those beyond the ends are at the end."""
        inside = max(self.low, min(self.high, value))
        if self.high == self.low:
            share = 0.5
        elif self.log:
            share = log10(inside / self.low) / log10(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def curve_view(curve: Curve, evidence: Evidence, models: Mapping[str, str]) -> CurveView | None:
    """Return the curve of what was measured; None: nothing was. `models`: by entry, for the colours."""
    if not any(curve.medians(evidence, points) for _, points in curve.lines):
        return None
    mark = curve.claimed(evidence)
    title = capitalised(measurement(curve.figure).title)
    return CurveView(
        title=f"{title}, logarithmic axis" if curve.log else title,
        x_title=curve.x_title,
        wide=_plot(curve, evidence, models, mark, WIDTH),
        narrow=_plot(curve, evidence, models, mark, NARROW_WIDTH),
        names=tuple(name for name, _ in curve.lines),
        rows=tuple(_rows(curve, evidence, mark)),
        claimed=mark.text if mark else "",
        note=mark.note if mark else "",
    )


def _plot(
    curve: Curve, evidence: Evidence, models: Mapping[str, str], mark: Mark | None, width: float
) -> CurvePlot:
    xs = sorted({point.x for _, points in curve.lines for point in points})
    values = [
        value for _, points in curve.lines for point in points for value in curve.values(evidence, point)
    ]
    values += [y for _, y in mark.points] if mark else []
    x = Scale(xs[0], xs[-1], LEFT + INSET, width - RIGHT - INSET, log=True)
    y = y_scale(values, curve.log)
    drawn = [_line(curve, evidence, number, x, y, models) for number in range(len(curve.lines))]
    return CurvePlot(
        width=width,
        height=HEIGHT,
        left=LEFT,
        right=width - RIGHT,
        top=TOP,
        foot=FOOT,
        x_ticks=tuple(_x_ticks(xs, x)),
        y_ticks=tuple(_y_ticks(y, curve.figure)),
        lines=tuple(drawn),
        mark=_mark(mark, x, y, [line.label[1] for line in drawn]) if mark else None,
    )


def y_scale(values: Sequence[float], log: bool) -> Scale:
    """Return the axis of y: from 0 to a round number, or between powers of ten."""
    if log:
        above_zero = [value for value in values if value > 0] or [1.0]
        low, high = floor(log10(min(above_zero))), ceil(log10(max(above_zero) * 1.05))
        return Scale(10.0**low, 10.0 ** max(high, low + 1), FOOT, TOP, log=True)
    step = round_step(max(values) or 1)
    return Scale(0.0, step * ceil(1.02 * max(values) / step) or step, FOOT, TOP, log=False)


def round_step(high: float) -> float:
    """Return a round distance of labels, so that there are about LINEAR_TICKS of them."""
    power = 10.0 ** floor(log10(high / LINEAR_TICKS))
    return next(power * step for step in STEPS if power * step >= high / LINEAR_TICKS)


def _y_ticks(y: Scale, figure: str) -> Iterable[CurveTick]:
    text = measurement(figure).text
    if y.log:
        powers = range(round(log10(y.low)), round(log10(y.high)) + 1)
        values = [10.0**power for power in powers]
    else:
        step = round_step(y.high)
        values = [step * number for number in range(round(y.high / step) + 1)]
    return [CurveTick(y.at(value), text(value)) for value in values]


def _x_ticks(xs: Sequence[float], x: Scale) -> Iterable[CurveTick]:
    """Yield a label for each value of x, those left out that have no room."""
    last = -float(TICK_GAP)
    for value in xs:
        at = x.at(value)
        if at - last >= TICK_GAP:
            last = at
            yield CurveTick(at, f"{value:,g}")


def _line(
    curve: Curve, evidence: Evidence, number: int, x: Scale, y: Scale, models: Mapping[str, str]
) -> CurveLine:
    name, points = curve.lines[number]
    places = [(x.at(at), y.at(value)) for at, value in curve.medians(evidence, points)]
    dots = [(x.at(each.x), y.at(value)) for each in points for value in curve.values(evidence, each)]
    model = models.get(points[0].entry, "")
    return CurveLine(
        name=name,
        model=model,
        path=_path(places),
        dots=tuple(dots),
        shape=SHAPES.get(model, "square"),
        label=_label(places),
    )


def _label(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the place of a line's name: above its first point, and further above if the line rises."""
    if not places:
        return LEFT, TOP
    (x, y), second = places[0], places[min(1, len(places) - 1)]
    return x - 8, max(TOP, y - (22 if second[1] < y - 8 else 12))


def _mark(mark: Mark, x: Scale, y: Scale, taken: Sequence[float]) -> CurveMark:
    """Return the mark. Its label is at its right end, or at the top; `taken`: heights of other labels."""
    if mark.x is not None:
        at = x.at(mark.x)
        anchor, beside = ("end", at - 6) if at > (x.start + x.end) / 2 else ("start", at + 6)
        return CurveMark(f"M{at} {TOP}V{FOOT}", mark.text, (beside, TOP + 8), anchor)
    places = [(x.at(at), y.at(value)) for at, value in mark.points]
    height = places[-1][1] - 10
    if any(abs(height - other) < LABEL_GAP for other in taken):
        height += 28  # below the line
    return CurveMark(_path(places), mark.text, (x.end + INSET, height), "end")


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if number else 'M'}{x} {y}" for number, (x, y) in enumerate(places))


def _rows(curve: Curve, evidence: Evidence, mark: Mark | None) -> Iterable[CurveRow]:
    text = measurement(curve.figure).text
    claimed = dict(mark.points) if mark else {}
    for x in sorted({point.x for _, points in curve.lines for point in points}):
        cells = []
        for _, points in curve.lines:
            found = [value for each in points if each.x == x for value in curve.values(evidence, each)]
            low, high = (text(min(found)), text(max(found))) if found else ("", "")
            cells.append((text(median(found)) if found else "", f"{low} to {high}" if low != high else ""))
        yield CurveRow(f"{x:,g}", tuple(cells), text(claimed[x]) if x in claimed else "")
