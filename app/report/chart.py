"""Computes the paths and ticks of SVG charts, which a template draws, for files without scripts. Pure.

Coordinates are those of the SVG's view box, in pixels. An unknown value is a gap in its line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 628, 12, 212  # edges of the plot; tick labels are outside
ACROSS, UPWARD = (LEFT, RIGHT), (BOTTOM, TOP)  # first and last pixel of an axis
TICKS = 4  # approximate number of intervals on a linear axis
DECADES_MAX = 2  # a logarithmic axis with more decades has ticks at powers of ten only

Points = Sequence[tuple[float, float | None]]
Formatter = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of an axis."""

    at: float  # pixels
    text: str


@dataclass(frozen=True, slots=True)
class ChartData:
    """The data of one line. `look`: CSS classes, a colour (`a` to `d`, `ink`) and optionally `dashed`."""

    name: str
    look: str
    points: Points


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart. `path`: the `d` attribute of its SVG path."""

    name: str
    look: str
    path: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The mapping from values to pixels, the ticks, and the title with its unit."""

    place: Callable[[float], float]
    ticks: tuple[Tick, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for the template. It has no lines if no value is known."""

    title: str
    note: str
    lines: tuple[Line, ...]
    x: Axis
    y: Axis
    warm: float | None  # x of the end of the warm-up


def chart(
    title: str, note: str, data: Iterable[ChartData], x: Axis, y: Axis, warm_until: float | None = None
) -> Chart:
    """Return a chart of these lines, without those that have no known value.

    `warm_until`: end of the warm-up on the x axis.
    """
    drawn = [Line(each.name, each.look, path(each.points, x.place, y.place)) for each in data]
    warm = x.place(warm_until) if warm_until else None
    return Chart(title, note, tuple(line for line in drawn if line.path), x, y, warm)


def path(points: Points, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Return the `d` attribute of a path. A gap starts a new segment; a single point has a length of 0."""
    pieces: list[str] = []
    pen_is_down = False
    for at, value in points:
        if value is not None:
            pieces.append(
                f"{'L' if pen_is_down else 'M'}{x(at):.1f} {y(value):.1f}{'' if pen_is_down else 'h0'}"
            )
        pen_is_down = value is not None
    return "".join(pieces)


def known(data: Iterable[ChartData]) -> list[float]:
    """Return all known values of these lines."""
    return [value for each in data for _, value in each.points if value is not None]


def time_axis(times: Sequence[float], text: Formatter, title: str) -> Axis:
    """Return a horizontal linear axis from 0 to the last of these times."""
    high = max(times, default=0.0) or 1.0
    place = _linear(high, LEFT, RIGHT)
    return Axis(place, tuple(Tick(place(at), text(at)) for at in _round_steps(high)), title)


def from_zero(
    values: Sequence[float], text: Formatter, title: str, span: tuple[float, float] = UPWARD
) -> Axis:
    """Return a linear axis from 0 to 5 % above the highest value."""
    high = 1.05 * max(values, default=0.0) or 1.0
    place = _linear(high, *span)
    return Axis(place, tuple(Tick(place(at), text(at)) for at in _round_steps(high)), title)


def logarithmic(
    values: Sequence[float], text: Formatter, title: str, span: tuple[float, float] = UPWARD
) -> Axis:
    """Return a logarithmic axis between round numbers below and above all values."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = _round_below(min(positive)), _round_above(max(positive))
    first, last = span
    whole = math.log(high / low)

    def place(value: float) -> float:
        return first + (last - first) * math.log(max(value, low) / low) / whole

    return Axis(place, tuple(Tick(place(at), text(at)) for at in _log_steps(low, high)), title)


def percentile_axis(cut: float) -> Axis:
    """Return a horizontal axis of quantiles up to `cut`: 0, 90 %, 99 %, 99.9 % … at equal distances."""
    nines = max(1.0, _nines(cut))
    place = _linear(nines, LEFT, RIGHT)
    named = [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    ticks = tuple(Tick(place(_nines(share)), text) for share, text in named if _nines(share) <= nines)
    return Axis(lambda share: place(_nines(share)), ticks, "Percentile")


def _nines(share: float) -> float:
    """Return the number of nines of a quantile: 2 for 0.99."""
    return -math.log10(max(1 - share, 1e-9))


def _linear(high: float, first: float, last: float) -> Callable[[float], float]:
    """Return a function that maps 0 to the pixel `first` and `high` to `last`."""
    return lambda value: first + (last - first) * value / high


def _round_steps(high: float) -> Iterator[float]:
    """Yield 0 and about TICKS multiples of 1, 2 or 5 times a power of ten."""
    rough = high / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    yield from (step * i for i in range(int(high / step + 1e-9) + 1))


def _log_steps(low: float, high: float) -> Iterator[float]:
    """Yield the powers of ten between the ends, also times 2 and 5 if there are few decades."""
    has_many_decades = high / low > 10**DECADES_MAX
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for each in (1,) if has_many_decades else (1, 2, 5):
            if low * 0.999 <= each * 10.0**exponent <= high * 1.001:
                yield each * 10.0**exponent


def _round_below(value: float) -> float:
    """Return the highest round number up to a value: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(power * each for each in (1, 2, 5) if power * each <= value * 1.000001)


def _round_above(value: float) -> float:
    """Return the next round number above a value, never the value itself, so that an axis is never empty."""
    power = 10.0 ** math.floor(math.log10(value))
    return min(power * each for each in (1, 2, 5, 10, 20) if power * each > value)
