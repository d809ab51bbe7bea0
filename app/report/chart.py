"""Charts for a file without scripts: from numbers to the paths and ticks of an SVG, which the template draws. Pure.

What is not known is a gap in its line, never 0 and never bridged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 628, 12, 212  # of the plot; around it is room for the ticks' texts
TICKS = 4
DECADES_MANY = 2  # over more of them, only the powers of ten get a text

Points = Sequence[tuple[float, float | None]]
Words = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Given:
    """A line to be drawn; `look` is how: `a` or `b` (a colour), and `dashed` beside it."""

    name: str
    look: str
    points: Points


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    look: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws. Without lines there is nothing to draw."""

    title: str
    note: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    warm: float | None  # the warm-up ends here


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to pixels, and the ticks on the way."""

    place: Callable[[float], float]
    ticks: tuple[Tick, ...]


def chart(
    title: str, note: str, given: Iterable[Given], x: Axis, y: Axis, warm_until: float | None = None
) -> Chart:
    drawn = [Line(each.name, each.look, path(each.points, x.place, y.place)) for each in given]
    warm = x.place(warm_until) if warm_until else None
    return Chart(title, note, tuple(line for line in drawn if line.path), x.ticks, y.ticks, warm)


def path(points: Points, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """The `d` of a path: each gap begins a new piece, and a lone point is a piece of no length (a dot)."""
    pieces: list[str] = []
    pen_is_down = False
    for at, value in points:
        if value is not None:
            pieces.append(
                f"{'L' if pen_is_down else 'M'}{x(at):.1f} {y(value):.1f}{'' if pen_is_down else 'h0'}"
            )
        pen_is_down = value is not None
    return "".join(pieces)


def known(given: Iterable[Given]) -> list[float]:
    return [value for each in given for _, value in each.points if value is not None]


def seconds_axis(times: Sequence[float], words: Words) -> Axis:
    high = max(times, default=0.0) or 1.0
    place = _linear(high, LEFT, RIGHT)
    return Axis(place, tuple(Tick(place(at), words(at)) for at in _round_steps(high)))


def from_zero(values: Sequence[float], words: Words) -> Axis:
    """An axis that begins at 0 and ends a little above the highest value."""
    high = 1.05 * max(values, default=0.0) or 1.0
    place = _linear(high, BOTTOM, TOP)
    return Axis(place, tuple(Tick(place(at), words(at)) for at in _round_steps(high)))


def logarithmic(values: Sequence[float], words: Words) -> Axis:
    """An axis of ratios, from a round number below the lowest value to one above the highest."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = _round_below(min(positive)), _round_above(max(positive))
    span = math.log(high / low)

    def place(value: float) -> float:
        return BOTTOM + (TOP - BOTTOM) * math.log(max(value, low) / low) / span

    return Axis(place, tuple(Tick(place(at), words(at)) for at in _log_steps(low, high)))


def percentile_axis(cut: float) -> Axis:
    """0, 90 %, 99 %, 99.9 % … at equal distances, up to where the data ends."""
    nines = max(1.0, _nines(cut))
    place = _linear(nines, LEFT, RIGHT)
    named = [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    ticks = tuple(Tick(place(_nines(share)), text) for share, text in named if _nines(share) <= nines)
    return Axis(lambda share: place(_nines(share)), ticks)


def _nines(share: float) -> float:
    return -math.log10(max(1 - share, 1e-9))


def _linear(high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (last - first) * value / high


def _round_steps(high: float) -> Iterator[float]:
    """0 and the multiples of 1, 2 or 5 times a power of ten, about four of them."""
    rough = high / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    yield from (step * i for i in range(int(high / step + 1e-9) + 1))


def _log_steps(low: float, high: float) -> Iterator[float]:
    many = high / low > 10**DECADES_MANY
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for each in (1,) if many else (1, 2, 5):
            if low * 0.999 <= each * 10.0**exponent <= high * 1.001:
                yield each * 10.0**exponent


def _round_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(power * each for each in (1, 2, 5) if power * each <= value * 1.000001)


def _round_above(value: float) -> float:
    """Strictly above, so that an axis has a length even where all values are the same."""
    power = 10.0 ** math.floor(math.log10(value))
    return min(power * each for each in (1, 2, 5, 10, 20) if power * each > value)
