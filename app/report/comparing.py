"""A comparison in pictures, for a page or a file without scripts: trials on an axis, and a curve for each entry. Pure.

A colour says the model only, so every dot row and every curve carries the letter of its entry as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app import format
from app.report.chart import Axis, Chart, Given, chart, logarithmic, percentile_axis
from app.schemas.comparison import ComparisonView, Standing, Trial


def _places(places: int) -> Callable[[float | None], str]:
    return lambda value: format.decimal(value, places)


# What is put side by side: label, figure, and how it is written.
ROWS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("Requests a second", "achieved_per_s", format.rate),
    ("CPU, µs", "cpu_us", _places(1)),
    ("user, µs", "cpu_user_us", _places(1)),
    ("system, µs", "cpu_system_us", _places(1)),
    ("I/O calls", "io_calls", _places(2)),
    ("System calls", "syscalls", _places(2)),
    ("Voluntary switches", "voluntary_switches", _places(3)),
    ("Involuntary switches", "involuntary_switches", _places(3)),
    ("Wake-ups", "wakeups", _places(3)),
    ("Run-queue wait", "run_queue_us", format.us),
    ("Queue wait", "queue_wait_us", format.us),
    ("Threads, peak", "threads_peak", format.count),
    ("RSS, peak", "rss_bytes_peak", format.size),
    ("Memory per connection", "anon_bytes_per_connection", format.size),
)
ROOM = 1.04  # the axis ends a little beyond the highest trial


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial, at so many percent of the axis."""

    at: float
    trial: Trial


@dataclass(frozen=True, slots=True)
class Interval:
    """An entry's trials on an axis from 0, in percent of it. Edges are None where nothing was measured."""

    standing: Standing
    dots: tuple[Dot, ...]
    low: float | None
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """An entry's line in the chart, and where its letter stands on it."""

    entry: int
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Latency by percentile of all entries on the same axes."""

    drawn: tuple[Curve, ...]
    chart: Chart


def intervals(view: ComparisonView) -> tuple[Interval, ...]:
    """Best first, as the result has them."""
    if view.result is None:
        return ()
    metric = view.result.metric
    seen = [value for trial in view.runs if (value := trial.of(metric)) is not None]
    scale = 100 / (ROOM * max(seen)) if seen and max(seen) > 0 else 0.0
    return tuple(_interval(view, view.result.standings[i], metric, scale) for i in view.result.order)


def _interval(view: ComparisonView, standing: Standing, metric: str, scale: float) -> Interval:
    mine = [trial for trial in view.runs if trial.entry == standing.entry]
    dots = tuple(
        Dot(round(scale * value, 2), trial) for trial in mine if (value := trial.of(metric)) is not None
    )
    figure = standing.figures[metric]
    if figure is None:
        return Interval(standing, dots, None, None, None)
    low, middle, high = (round(scale * value, 2) for value in (figure.minimum, figure.median, figure.maximum))
    return Interval(standing, dots, low, middle, high)


def curves(kept: Mapping[str, Any]) -> Curves | None:
    """Response time by percentile; None if there is nothing to draw."""
    points = {i: each["response"] for i, each in enumerate(kept["entries"]) if each and each["response"]}
    if not points:
        return None
    x = percentile_axis(max(kept["entries"][i]["cut"] for i in points))
    y = logarithmic([us for each in points.values() for _, us in each], format.us)
    note = "Logarithmic. Trials merged; a curve ends where fewer than 10 samples lie above."
    drawn = chart(
        "Response time by percentile", note, [Given("", str(i), each) for i, each in points.items()], x, y
    )
    lines = tuple(_lettered(int(line.look), line.path, points, x, y) for line in drawn.lines)
    return Curves(lines, drawn)


def _lettered(entry: int, path: str, points: Mapping[int, Any], x: Axis, y: Axis) -> Curve:
    """Letters stand side by side along the curves, for at their ends they would stand on each other."""
    mine = points[entry]
    share = (list(points).index(entry) + 0.5) / len(points)
    wanted = x.place(0) + share * (x.place(mine[-1][0]) - x.place(0))
    at, us = min(mine, key=lambda point: abs(x.place(point[0]) - wanted))
    return Curve(entry, path, x.place(at), y.place(us))
