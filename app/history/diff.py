"""Computes the diff of two runs: setup differences, and the change of every figure. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.history.config_diff import ConfigDifference, config_differences, notes
from app.history.noise import MACHINE, OFFERED, Noise, count_noise, noise
from app.load.protocol.histogram import Percentiles
from app.load.protocol.plan import CLOSED
from app.schemas.run import RunView

Series = Mapping[str, Any]  # columns and rows, as results store them
Values = tuple[float | None, float | None]  # of run a and run b

# Share of the requests above a percentile; None for a maximum, which is a single event.
SHARE_ABOVE = {"p50_us": 0.5, "p90_us": 0.1, "p99_us": 0.01, "p999_us": 0.001, "max_us": None, "mean_us": 1.0}


@dataclass(frozen=True, slots=True)
class SeriesPair:
    """The series of both runs."""

    a: Series
    b: Series

    def column(self, column: str) -> tuple[list[float], list[float]]:
        """Return the known values of a column in the measured seconds."""
        return _seconds(self.a, column), _seconds(self.b, column)

    def latency(self, clock: str, name: str, x: float, y: float) -> tuple[list[float], list[float]]:
        """Return the seconds of a latency, which is `x` and `y` over the whole of each run.

        A latency that is not in the series is assumed to have the relative spread of the p99.
        """
        rows = self.column(f"{clock}_{name}")
        if all(rows):
            return rows
        a, b = (_scaled(each, to) for each, to in zip(self.column(f"{clock}_p99_us"), (x, y), strict=True))
        return a, b

    def cpu_us(self) -> tuple[list[float], list[float]]:
        """Return CPU µs per request of each measured second."""
        return _cpu_seconds(self.a), _cpu_seconds(self.b)


def _seconds(series: Series, *columns: str) -> list[Any]:
    """Return the known values of one column, or of several as lists, in the measured seconds."""
    known = list(series.get("columns", ()))
    if not {*columns, "phase"} <= set(known):
        return []
    phase, at = known.index("phase"), [known.index(column) for column in columns]
    measured = ([row[i] for i in at] for row in series["rows"] if row[phase] == "measure")
    whole = [values for values in measured if None not in values]
    return [values[0] for values in whole] if len(columns) == 1 else whole


def _scaled(seconds: list[float], to: float) -> list[float]:
    """Return the seconds scaled so that their median is `to`."""
    middle = median(seconds) if seconds else 0
    return [value * to / middle for value in seconds] if middle else []


def _cpu_seconds(series: Series) -> list[float]:
    return [
        1e4 * percent / rate for percent, rate in _seconds(series, "cpu_percent", "achieved_per_s") if rate
    ]


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure of both runs. Where its change cannot be judged, `larger`, `noise` and `basis` are None."""

    group: str
    name: str
    unit: str  # us bytes per_s count number ratio per_request seconds
    a: float | None
    b: float | None
    change: float | None
    percent: float | None  # of a
    noise: float | None
    basis: str | None  # machine offered seconds samples
    larger: bool | None  # whether the change is significant: larger than the noise


@dataclass(frozen=True, slots=True)
class RunDiff:
    """Run `b` compared with run `a`."""

    a: int
    b: int
    same_load: bool
    unlike: tuple[ConfigDifference, ...]
    notes: tuple[str, ...]  # sentences to read before the figures
    figures: tuple[FigureChange, ...]


def diff_runs(a: RunView, b: RunView, series_a: Series, series_b: Series) -> RunDiff:
    """Return the diff of two runs. A figure that one of them lacks is None, and so is its change."""
    found = tuple(config_differences(a, b))
    same_load = not any(each.kind == "plan" for each in found)
    offered = all(run.plan.get("executor", "constant-vus") not in CLOSED for run in (a, b))
    pair = SeriesPair(series_a, series_b)
    figures = (
        *_rates(a, b, pair, offered, same_load),
        *_latencies(a, b, pair),
        *_costs(a, b, pair),
        *_whole_run(a, b),
        *_kinds(a, b, pair),
    )
    return RunDiff(a.id, b.id, same_load, found, tuple(notes(a, b, found)), figures)


def _change(group: str, name: str, unit: str, values: Values, within: Noise | None) -> FigureChange:
    """Return one figure with its change. `within`: its noise; None if the change cannot be judged."""
    a, b = values
    if a is None or b is None:
        return FigureChange(group, name, unit, a, b, None, None, None, None, None)
    change = b - a
    percent = 100 * change / a if a else None
    if within is None:
        return FigureChange(group, name, unit, a, b, change, percent, None, None, None)
    is_significant = abs(change) > within.width
    return FigureChange(group, name, unit, a, b, change, percent, within.width, within.basis, is_significant)


def _single(group: str, name: str, unit: str, values: Values) -> FigureChange:
    """Return a figure with one value per run, whose only known noise is the drift of the machine."""
    a, b = values
    return _change(group, name, unit, values, noise(a, b) if a is not None and b is not None else None)


def _rates(
    a: RunView, b: RunView, pair: SeriesPair, offered: bool, same_load: bool
) -> Iterator[FigureChange]:
    x, y = a.summary, b.summary
    if not x or not y:
        return
    held = noise(
        x.achieved_per_s,
        y.achieved_per_s,
        drift=OFFERED if offered else MACHINE,
        seconds=pair.column("achieved_per_s"),
    )
    yield _change("Rate", "offered_per_s", "per_s", (x.offered_per_s, y.offered_per_s), None)
    yield _change("Rate", "achieved_per_s", "per_s", (x.achieved_per_s, y.achieved_per_s), held)
    yield _change("Rate", "rate_ratio", "ratio", (x.rate_ratio, y.rate_ratio), noise(1, 1, drift=OFFERED))
    yield _change("Rate", "requests", "count", (x.requests, y.requests), None)
    counts = {"errors": (sum(x.errors.values()), sum(y.errors.values())), "late": (x.late, y.late)}
    for name, (one, other) in {**counts, "dropped": (x.dropped, y.dropped)}.items():
        yield _change("Rate", name, "count", (one, other), count_noise(one, other) if same_load else None)


def _latencies(a: RunView, b: RunView, pair: SeriesPair) -> Iterator[FigureChange]:
    if a.summary and b.summary:
        for clock in ("response", "service"):
            one, other = getattr(a.summary.latency, clock), getattr(b.summary.latency, clock)
            yield from _percentiles(f"{clock.capitalize()} time", one, other, clock, pair)


def _percentiles(
    group: str, one: Percentiles, other: Percentiles, clock: str, pair: SeriesPair
) -> Iterator[FigureChange]:
    for name, above in SHARE_ABOVE.items():
        x, y = getattr(one, name), getattr(other, name)
        width = None
        if x is not None and y is not None and above is not None:
            samples = (above * one.count, above * other.count)
            width = noise(x, y, seconds=pair.latency(clock, name, x, y), samples=samples)
        yield _change(group, name, "us", (x, y), width)


def _costs(a: RunView, b: RunView, pair: SeriesPair) -> Iterator[FigureChange]:
    x, y = a.ledger, b.ledger
    if not x or not y or not a.summary or not b.summary:
        return
    group, requests = "Cost per request", (a.summary.requests, b.summary.requests)
    if x.cpu_us is not None and y.cpu_us is not None:
        cpu = noise(x.cpu_us, y.cpu_us, seconds=pair.cpu_us())
        yield _change(group, "cpu_us", "us", (x.cpu_us, y.cpu_us), cpu)
    for name in ("cpu_user_us", "cpu_system_us", "run_queue_us", "stalled_us", "queue_wait_us"):
        yield _single(group, name, "us", (getattr(x, name), getattr(y, name)))
    for name in ("io_calls", "syscalls", "voluntary_switches", "involuntary_switches", "wakeups", "handoffs"):
        one, other = getattr(x, name), getattr(y, name)
        width = None
        if one is not None and other is not None:
            width = noise(one, other, samples=(one * requests[0], other * requests[1]))
        yield _change(group, name, "per_request", (one, other), width)


def _whole_run(a: RunView, b: RunView) -> Iterator[FigureChange]:
    x, y = a.ledger, b.ledger
    if x and y:
        yield _change("Whole run", "threads_peak", "count", (x.threads_peak, y.threads_peak), None)
        for name, unit in (
            ("accept_queue_mean", "number"),
            ("accept_queue_peak", "count"),
            ("accept_wait_us", "us"),
        ):
            yield _single("Whole run", name, unit, (getattr(x, name), getattr(y, name)))
        for name in ("rss_bytes_peak", "anon_bytes_per_connection", "kernel_stack_bytes"):
            yield _single("Whole run", name, "bytes", (getattr(x, name), getattr(y, name)))
        yield _single("Whole run", "generator_cpu_us", "us", (x.generator.cpu_us, y.generator.cpu_us))
        yield _single(
            "Whole run", "generator_utilisation", "ratio", (x.generator.utilisation, y.generator.utilisation)
        )
    if a.summary and b.summary:
        for name, unit in (
            ("bytes_in", "bytes"),
            ("bytes_out", "bytes"),
            ("connections_peak", "count"),
            ("idle_connections_held", "count"),
            ("duration_s", "seconds"),
        ):
            yield _change("Whole run", name, unit, (getattr(a.summary, name), getattr(b.summary, name)), None)


def _kinds(a: RunView, b: RunView, pair: SeriesPair) -> Iterator[FigureChange]:
    """Yield latency by work kind, for the kinds that both runs have; nothing if there is only one kind.

    The series has no rows by work kind; those of all kinds together give the spread.
    """
    if not a.summary or not b.summary or len(a.summary.by_kind) < 2:
        return
    others = {kind.label: kind for kind in b.summary.by_kind}
    for kind in a.summary.by_kind:
        if other := others.get(kind.label):
            for clock in ("response", "service"):
                group = f"{kind.label}, {clock} time"
                yield from _percentiles(group, getattr(kind, clock), getattr(other, clock), clock, pair)
