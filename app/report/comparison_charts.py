"""Computes the charts of a comparison: the trials of each entry on an axis, and latency curves. Pure.

Colours identify models only, so rows and curves are labelled with the letter of their entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app import format
from app.report.chart import Axis, Chart, ChartData, chart, from_zero, logarithmic, percentile_axis
from app.results.checks import capitalised
from app.results.figures import figure
from app.schemas.comparison import ComparisonTrial, ComparisonView, EntryResult

RESPONSE_TIME_AXIS = "Response time (log scale)"


def _places(places: int) -> Callable[[float | None], str]:
    return lambda value: format.decimal(value, places)


# The rows of the table: label, figure, formatter.
ROWS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("Throughput", "achieved_per_s", format.request_rate),
    ("CPU, µs/request", "cpu_us", _places(1)),
    ("User CPU, µs/request", "cpu_user_us", _places(1)),
    ("System CPU, µs/request", "cpu_system_us", _places(1)),
    ("I/O calls/request", "io_calls", _places(2)),
    ("System calls/request", "syscalls", _places(2)),
    ("Voluntary switches/request", "voluntary_switches", _places(3)),
    ("Involuntary switches/request", "involuntary_switches", _places(3)),
    ("Wake-ups/request", "wakeups", _places(3)),
    ("Hand-offs/request", "handoffs", _places(3)),
    ("Run-queue wait/request", "run_queue_us", format.us),
    ("GIL or lock wait/request", "stalled_us", format.us),
    ("Work-queue wait/request", "queue_wait_us", format.us),
    ("Accept-queue depth, mean", "accept_queue_mean", _places(2)),
    ("Accept-queue depth, peak", "accept_queue_peak", format.count),
    ("Accept-queue wait/connection", "accept_wait_us", format.us),
    ("Peak threads", "threads_peak", format.count),
    ("Peak RSS", "rss_bytes_peak", format.size),
    ("Memory per connection", "anon_bytes_per_connection", format.size),
)
PERCENT = (0.0, 100.0)  # an axis in percent of its length: rows of trials have any width


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial on the axis. `at`: percent of its length."""

    at: float
    trial: ComparisonTrial


@dataclass(frozen=True, slots=True)
class Interval:
    """The trials of an entry, with minimum, median and maximum in percent of the axis; None if unknown."""

    standing: EntryResult
    dots: tuple[Dot, ...]
    low: float | None
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Intervals:
    """The trials of all entries on a common axis, whose places are percent of its length."""

    rows: tuple[Interval, ...]
    axis: Axis


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve of an entry. `x`, `y`: the position of its letter."""

    entry: int
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Latency by percentile of all entries, on common axes."""

    drawn: tuple[Curve, ...]
    chart: Chart


def intervals(view: ComparisonView) -> Intervals | None:
    """Return the trials of each entry, best entry first; None if there is no result."""
    if view.result is None:
        return None
    metric = view.result.metric
    seen = [value for trial in view.runs if (value := trial.value_of(metric)) is not None]
    axis = _axis_of(metric, seen)
    rows = tuple(_interval(view, view.result.standings[i], metric, axis) for i in view.result.order)
    return Intervals(rows, axis)


def _axis_of(metric: str, values: Sequence[float]) -> Axis:
    """Return an axis from 0, in percent of its length, with ticks at round numbers of the figure's unit."""
    divisor, unit = figure(metric).axis_unit(max(values, default=0.0))
    title = capitalised(figure(metric).title)
    axis = from_zero(
        [value / divisor for value in values],
        lambda value: f"{value:,.6g}",
        f"{title} ({unit})" if unit else title,
        PERCENT,
    )
    return replace(axis, place=lambda value: round(axis.place(value / divisor), 2))


def _interval(view: ComparisonView, standing: EntryResult, metric: str, axis: Axis) -> Interval:
    mine = [trial for trial in view.runs if trial.entry == standing.entry]
    dots = tuple(
        Dot(axis.place(value), trial) for trial in mine if (value := trial.value_of(metric)) is not None
    )
    spread = standing.figures[metric]
    if spread is None:
        return Interval(standing, dots, None, None, None)
    return Interval(standing, dots, *map(axis.place, (spread.minimum, spread.median, spread.maximum)))


def curves(kept: Mapping[str, Any]) -> Curves | None:
    """Return response time by percentile of each entry; None if nothing was measured.

    `kept`: the stored percentiles of the comparison.
    """
    points = {i: each["response"] for i, each in enumerate(kept["entries"]) if each and each["response"]}
    if not points:
        return None
    x = percentile_axis(max(kept["entries"][i]["cut"] for i in points))
    y = logarithmic([us for each in points.values() for _, us in each], format.us_tick, RESPONSE_TIME_AXIS)
    note = "Trials are merged; a curve ends where fewer than 10 samples are above it."
    drawn = chart(
        "Response time by percentile", note, [ChartData("", str(i), each) for i, each in points.items()], x, y
    )
    lines = tuple(_lettered(int(line.look), line.path, points, x, y) for line in drawn.lines)
    return Curves(lines, drawn)


def _lettered(entry: int, path: str, points: Mapping[int, Any], x: Axis, y: Axis) -> Curve:
    """Return a curve with the position of its letter.

    Letters are spread over the width of the chart: at the ends of the curves they would overlap.
    """
    mine = points[entry]
    share = (list(points).index(entry) + 0.5) / len(points)
    wanted = x.place(0) + share * (x.place(mine[-1][0]) - x.place(0))
    at, us = min(mine, key=lambda point: abs(x.place(point[0]) - wanted))
    return Curve(entry, path, x.place(at), y.place(us))
