"""The geometry of the plots of experiments, in units of their SVG. Pure.

A ratio plot has a logarithmic axis with the margin, the side that the claim predicts, and the band of no
difference; it is the same before, during and after the measurement. A claim with one ratio has a row for each
round, one with several has a row for each ratio, with its label above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from app import format
from app.experiments.evidence import Pair
from app.statistics.decision import BAND, geometric_mean

NICE = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200)
LOW_POWER, HIGH_POWER = 1.5, 4.7  # of the margin: the ends of the axis
EQUIVALENCE_END = 1.6
WIDTH, NARROW_WIDTH = 640, 330
LEFT, NARROW_LEFT, RIGHT = 84, 30, 14
LEFT_UNDER_LABELS, LABEL_HEIGHT = 6, 16  # if the rows have long labels, which are above them
TOP, PITCH, SUMMARY, AXIS = 44, 28, 32, 26
TICK_GAP = 46


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of the axis."""

    x: float
    text: str
    strong: bool  # the margin


@dataclass(frozen=True, slots=True)
class PlotRow:
    """A round, or all rounds of one of several ratios. `void`: why there is no dot, in a sentence."""

    label: str
    y: float
    dots: tuple[float, ...]
    void: str = ""
    text: str = ""  # beside the dots
    is_next: bool = False  # is being measured


@dataclass(frozen=True, slots=True)
class Summary:
    """The row of all rounds together: from the lowest to the highest, and the geometric mean."""

    y: float
    low: float
    middle: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class RatioPlot:
    """A ratio plot. `low`, `high`: the ratios at the ends of the axis, for the slider of the prediction."""

    width: float
    height: float
    left: float
    right: float
    top: float
    foot: float
    low: float
    high: float
    ticks: tuple[Tick, ...]
    one: float
    edges: tuple[float, ...]
    zone: tuple[float, float]
    band: tuple[float, float] | None
    rows: tuple[PlotRow, ...]
    labels_above: bool
    summary: Summary | None
    prediction: float | None
    prediction_text: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of a ratio plot shows."""

    label: str
    ratios: tuple[float, ...]
    void: str = ""
    is_next: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """The range of a plot, by the margin (None: equivalence) and the ratios that it must show."""

    margin: float | None
    low: float
    high: float
    left: float
    right: float

    @classmethod
    def of(cls, margin: float | None, ratios: Iterable[float], left: float, right: float) -> Axis:
        low, high = 1 / EQUIVALENCE_END, EQUIVALENCE_END
        if margin is not None:
            unit = max(margin, 1 / margin)
            low, high = min(0.85, unit**-LOW_POWER), unit**HIGH_POWER
        shown = [ratio for ratio in ratios if ratio > 0]
        return cls(
            margin,
            min([low, *(r / 1.1 for r in shown)]),
            max([high, *(r * 1.15 for r in shown)]),
            left,
            right,
        )

    def x(self, ratio: float) -> float:
        """Return the place of a ratio; those beyond the ends are at the end."""
        inside = max(self.low, min(self.high, ratio))
        share = log(inside / self.low) / log(self.high / self.low)
        return round(self.left + share * (self.right - self.left), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """Return the labels: equal and the margin, and round numbers where there is room."""
        found = [Tick(self.x(1), "equal", False)]
        if self.margin is not None:
            found.append(Tick(self.x(self.margin), f"margin ×{format.ratio(self.margin)}", True))
        for value in NICE:
            x = self.x(value)
            if self.low <= value <= self.high and all(abs(x - tick.x) >= self._gap(tick) for tick in found):
                found.append(Tick(x, f"×{value:g}", False))
        return tuple(sorted(found, key=lambda tick: tick.x))

    def _gap(self, tick: Tick) -> float:
        return TICK_GAP * (1.4 if tick.strong else 1)


def ratio_plot(
    margin: float | None,
    rows: Sequence[Row],
    *,
    narrow: bool = False,
    prediction: float | None = None,
    answered: bool = False,
    labels_above: bool = False,
) -> RatioPlot:
    """Return the plot of some rows.

    `answered`: with the row of all rounds, if each row is a round. `labels_above`: for labels that are long.
    """
    width, left = (NARROW_WIDTH, NARROW_LEFT) if narrow else (WIDTH, LEFT)
    pitch, offset = PITCH, 10
    if labels_above:
        left, pitch, offset = LEFT_UNDER_LABELS, PITCH + LABEL_HEIGHT, 10 + LABEL_HEIGHT
    ratios = [ratio for row in rows for ratio in row.ratios]
    given = [prediction] if prediction else []
    axis = Axis.of(margin, [*ratios, *given], left, width - RIGHT)
    of_rounds = all(len(row.ratios) <= 1 for row in rows)
    has_summary = answered and of_rounds and len(ratios) > 0
    foot = TOP + len(rows) * pitch + (SUMMARY if has_summary else 4)
    end = axis.right if margin is not None else axis.x(BAND)
    begin = axis.x(margin) if margin is not None else axis.x(1 / BAND)
    return RatioPlot(
        width=width,
        height=foot + AXIS,
        left=axis.left,
        right=axis.right,
        top=TOP - 8,
        foot=foot,
        low=axis.low,
        high=axis.high,
        ticks=axis.ticks(),
        one=axis.x(1),
        edges=(begin,) if margin is not None else (begin, end),
        zone=(begin, end),
        band=(axis.x(1 / BAND), axis.x(BAND)) if margin is not None else None,
        rows=tuple(_row(axis, row, TOP + offset + number * pitch) for number, row in enumerate(rows)),
        labels_above=labels_above,
        summary=_summary(axis, ratios, foot - 14) if has_summary else None,
        prediction=axis.x(prediction) if prediction else None,
        prediction_text=f"Your prediction ×{format.ratio(prediction)}" if prediction else "",
    )


def _row(axis: Axis, row: Row, y: float) -> PlotRow:
    text = f"×{format.ratio(geometric_mean(row.ratios))}" if len(row.ratios) > 1 else ""
    return PlotRow(row.label, y, tuple(map(axis.x, row.ratios)), row.void, text, row.is_next)


def _summary(axis: Axis, ratios: Sequence[float], y: float) -> Summary:
    low, middle, high = min(ratios), geometric_mean(ratios), max(ratios)
    text = f"×{format.ratio(middle)}, {format.ratio(low)} to {format.ratio(high)}"
    return Summary(y, axis.x(low), axis.x(middle), axis.x(high), text)


def round_rows(pairs: Sequence[Pair], wanted: int, is_running: bool) -> list[Row]:
    """Return a row for each round that was measured, and for those that are still wanted."""
    rows = [
        Row(f"round {number}", (pair.ratio,) if pair.ratio else (), "" if pair.ratio else pair.void)
        for number, pair in enumerate(pairs, 1)
    ]
    valid = sum(bool(row.ratios) for row in rows)
    for number in range(max(0, wanted - valid)):
        rows.append(Row(f"round {len(rows) + 1}", (), is_next=is_running and number == 0))
    return rows


@dataclass(frozen=True, slots=True)
class CountRow:
    """One count: its values as places on an axis of their own that begins at 0, and the bound in words."""

    title: str
    dots: tuple[float, ...]
    text: str
    bound: str
    answer: str


def count_row(title: str, values: Sequence[float], text: str, bound: str, answer: str) -> CountRow:
    """Return the row of a count. The axis ends at 1.25 times the largest value; `text`: the values."""
    end = 1.25 * max([abs(value) for value in values], default=0) or 1
    dots = tuple(round(100 * max(0.0, value) / end, 1) for value in values)
    return CountRow(title, dots, text, bound, answer)
