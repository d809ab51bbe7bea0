"""The geometry of the plot of a tuning, in units of its SVG: the rate by value. Pure.

The x axis is logarithmic for numbers, and has equal distances for choices. The y axis begins at 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app import format
from app.pages.curves import (
    FOOT,
    HEIGHT,
    INSET,
    LEFT,
    NARROW_WIDTH,
    RIGHT,
    TICK_GAP,
    TOP,
    WIDTH,
    CurveTick,
    Scale,
    round_step,
    y_scale,
)
from app.schemas.tuning import TuningResult, TuningView, ValueResult
from app.statistics.decision import BAND
from app.tunings.values import value_name

LABEL_WIDTH = 120  # room for the name of the answer beside its point


@dataclass(frozen=True, slots=True)
class TuningPoint:
    """A value: its median between its lowest and highest rate. `look`: answer, best or other.

    `bar`: the heights of the lowest and of the highest rate; None: there is one rate.
    """

    x: float
    y: float
    bar: tuple[float, float] | None
    look: str
    text: str


@dataclass(frozen=True, slots=True)
class TuningMark:
    """A label or a line at a place. `anchor`: of its text."""

    x: float
    y: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class TuningPlot:
    """One drawing. `band`: the heights of the best rate and of the lowest one within 10 % of it."""

    width: float
    height: float
    left: float
    right: float
    top: float
    foot: float
    x_ticks: tuple[CurveTick, ...]
    y_ticks: tuple[CurveTick, ...]
    path: str
    points: tuple[TuningPoint, ...]
    void: tuple[TuningMark, ...]  # values without a valid run
    band: tuple[float, float] | None
    label: TuningMark | None  # the answer
    formula: TuningMark | None


def tuning_plot(view: TuningView, narrow: bool = False) -> TuningPlot | None:
    """Return the plot of a tuning; None as long as no value has a valid run."""
    result = view.result
    measured = [each for each in result.values if each.n] if result else []
    if result is None or not measured:
        return None
    width = NARROW_WIDTH if narrow else WIDTH
    xs = _places(view.values, width)
    y = y_scale([each.max_per_s or 0.0 for each in measured], log=False)
    points = tuple(_point(view, result, each, xs[each.value], y) for each in measured)
    best = result.values[result.best].median_per_s if result.best is not None else None
    return TuningPlot(
        width=width,
        height=HEIGHT,
        left=LEFT,
        right=width - RIGHT,
        top=TOP,
        foot=FOOT,
        x_ticks=tuple(_x_ticks(view.values, xs)),
        y_ticks=tuple(_y_ticks(y)),
        path="".join(f"{'L' if i else 'M'}{each.x} {each.y}" for i, each in enumerate(points))
        if view.is_number
        else "",
        points=points,
        void=tuple(_void(view, each, xs[each.value]) for each in result.values if not each.n),
        band=(y.at(best), y.at(best / BAND)) if best else None,
        label=_label(view, result, xs, y, width),
        formula=_formula(view, result, width),
    )


def _places(values: Sequence[int | str], width: float) -> tuple[float, ...]:
    """Return the place of each value on the x axis."""
    first, last = LEFT + INSET, width - RIGHT - INSET
    if scale := _log_scale(values, width):
        return tuple(scale.at(value) for value in values if not isinstance(value, str))
    return tuple(round(first + (last - first) * (i + 0.5) / len(values), 1) for i in range(len(values)))


def _log_scale(values: Sequence[int | str], width: float) -> Scale | None:
    """Return the axis of numbers; None for choices, and for numbers that have no logarithm."""
    numbers = [value for value in values if not isinstance(value, str) and value > 0]
    if len(numbers) < len(values):
        return None
    return Scale(numbers[0], numbers[-1], LEFT + INSET, width - RIGHT - INSET, log=True)


def _x_ticks(values: Sequence[int | str], xs: Sequence[float]) -> Iterator[CurveTick]:
    """Yield a label for each value, numbers left out that have no room."""
    last = -float(TICK_GAP)
    for value, at in zip(values, xs, strict=True):
        if isinstance(value, str) or at - last >= TICK_GAP:
            last = at
            yield CurveTick(at, format.knob(value))


def _y_ticks(y: Scale) -> Iterator[CurveTick]:
    step = round_step(y.high)
    for number in range(round(y.high / step) + 1):
        yield CurveTick(y.at(step * number), format.rate(step * number))


def _point(view: TuningView, result: TuningResult, value: ValueResult, x: float, y: Scale) -> TuningPoint:
    low, middle, high = value.min_per_s or 0.0, value.median_per_s or 0.0, value.max_per_s or 0.0
    look = {result.best: "best", result.answer: "answer"}.get(value.value, "other")
    spread = f", {format.rate(low)} to {format.rate(high)}" if low != high else ""
    runs = "1 run" if value.n == 1 else f"{value.n} runs"
    text = f"{_name(view, value.value)}: {format.request_rate(middle)}{spread}, {runs}"
    return TuningPoint(x, y.at(middle), (y.at(low), y.at(high)) if low != high else None, look, text)


def _void(view: TuningView, value: ValueResult, x: float) -> TuningMark:
    state = "void" if value.trials else "not measured yet"
    return TuningMark(x, FOOT, f"{_name(view, value.value)}: {state}", "middle")


def _label(
    view: TuningView, result: TuningResult, xs: Sequence[float], y: Scale, width: float
) -> TuningMark | None:
    """Return the name of the answer, below its point."""
    if result.answer is None:
        return None
    x, rate = xs[result.answer], result.values[result.answer].median_per_s or 0.0
    anchor = "end" if x > width - LABEL_WIDTH else "start" if x < LEFT + LABEL_WIDTH else "middle"
    return TuningMark(x, min(FOOT - 6, y.at(rate) + 24), _name(view, result.answer), anchor)


def _formula(view: TuningView, result: TuningResult, width: float) -> TuningMark | None:
    """Return the line of the formula, if the axis has its value."""
    scale = _log_scale(view.values, width)
    if result.formula is None or scale is None or not scale.low <= result.formula.value <= scale.high:
        return None
    at = scale.at(result.formula.value)
    anchor = "end" if at > (LEFT + width) / 2 else "start"
    return TuningMark(at, FOOT - 8, f"formula {result.formula.value:.1f}".removesuffix(".0"), anchor)


def _name(view: TuningView, value: int) -> str:
    return value_name(view.knob, view.unit, view.values[value])
