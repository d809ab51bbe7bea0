"""Two runs side by side: in what they were not the same, and every figure with its change. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.history.config_diff import Unlike, notes, unlike
from app.history.noise import MACHINE, OFFERED, Noise, count_noise, noise
from app.load.protocol.histogram import Percentiles
from app.load.protocol.plan import CLOSED
from app.schemas.run import RunView

Series = Mapping[str, Any]  # columns and rows, as a run keeps them

# What part of the answers lies above a percentile; a maximum is one event, and None.
ABOVE = {"p50_us": 0.5, "p90_us": 0.1, "p99_us": 0.01, "p999_us": 0.001, "max_us": None, "mean_us": 1.0}


@dataclass(frozen=True, slots=True)
class Pair:
    """The series of both runs."""

    a: Series
    b: Series

    def of(self, column: str) -> tuple[list[float], list[float]]:
        """The measured seconds of a column that are known."""
        return _seconds(self.a, column), _seconds(self.b, column)

    def latency(self, clock: str, name: str, x: float, y: float) -> tuple[list[float], list[float]]:
        """Those of a latency that is `x` and `y` in all; one that has no rows spreads as its p99 does, for its size."""
        rows = self.of(f"{clock}_{name}")
        if all(rows):
            return rows
        a, b = (_scaled(each, to) for each, to in zip(self.of(f"{clock}_p99_us"), (x, y), strict=True))
        return a, b

    def cpu_us(self) -> tuple[list[float], list[float]]:
        """CPU µs a request, second by second."""
        return _cpu_seconds(self.a), _cpu_seconds(self.b)


def _seconds(series: Series, *columns: str) -> list[Any]:
    """The measured seconds: of one column its values, of several their tuples; those that are known."""
    known = list(series.get("columns", ()))
    if not {*columns, "phase"} <= set(known):
        return []
    phase, at = known.index("phase"), [known.index(column) for column in columns]
    measured = ([row[i] for i in at] for row in series["rows"] if row[phase] == "measure")
    whole = [values for values in measured if None not in values]
    return [values[0] for values in whole] if len(columns) == 1 else whole


def _scaled(seconds: list[float], to: float) -> list[float]:
    middle = median(seconds) if seconds else 0
    return [value * to / middle for value in seconds] if middle else []


def _cpu_seconds(series: Series) -> list[float]:
    return [
        1e4 * percent / rate for percent, rate in _seconds(series, "cpu_percent", "achieved_per_s") if rate
    ]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of both runs. `larger` is None where that cannot be judged, and then `basis` is too."""

    group: str
    name: str
    unit: str  # us bytes per_s count ratio per_request seconds
    a: float | None
    b: float | None
    change: float | None
    percent: float | None  # of a
    noise: float | None
    basis: str | None  # machine offered seconds samples
    larger: bool | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Run `b` against run `a`."""

    a: int
    b: int
    same_load: bool
    unlike: tuple[Unlike, ...]
    notes: tuple[str, ...]  # sentences, what to know first
    figures: tuple[Figure, ...]


def difference(a: RunView, b: RunView, seconds_a: Series, seconds_b: Series) -> Difference:
    """All of it. Either run may lack what it lacks: that figure is None then, and so is its change."""
    found = tuple(unlike(a, b))
    same_load = not any(each.kind == "plan" for each in found)
    offered = all(run.plan.get("executor", "constant-vus") not in CLOSED for run in (a, b))
    pair = Pair(seconds_a, seconds_b)
    figures = (
        *_rates(a, b, pair, offered, same_load),
        *_latencies(a, b, pair),
        *_costs(a, b, pair),
        *_whole(a, b),
        *_kinds(a, b, pair),
    )
    return Difference(a.id, b.id, same_load, found, tuple(notes(a, b, found)), figures)


def figure(
    group: str, name: str, unit: str, a: float | None, b: float | None, within: Noise | None
) -> Figure:
    """One figure with its change; `within` None: not judged."""
    if a is None or b is None:
        return Figure(group, name, unit, a, b, None, None, None, None, None)
    change = b - a
    percent = 100 * change / a if a else None
    if within is None:
        return Figure(group, name, unit, a, b, change, percent, None, None, None)
    return Figure(
        group, name, unit, a, b, change, percent, within.width, within.basis, abs(change) > within.width
    )


def _plain(group: str, name: str, unit: str, a: float | None, b: float | None) -> Figure:
    """A figure of which there is one a run: only the machine's drift is known."""
    return figure(group, name, unit, a, b, noise(a, b) if a is not None and b is not None else None)


def _rates(a: RunView, b: RunView, pair: Pair, offered: bool, same_load: bool) -> Iterator[Figure]:
    x, y = a.summary, b.summary
    if not x or not y:
        return
    held = noise(
        x.achieved_per_s,
        y.achieved_per_s,
        drift=OFFERED if offered else MACHINE,
        seconds=pair.of("achieved_per_s"),
    )
    yield figure("Rate", "offered_per_s", "per_s", x.offered_per_s, y.offered_per_s, None)
    yield figure("Rate", "achieved_per_s", "per_s", x.achieved_per_s, y.achieved_per_s, held)
    yield figure("Rate", "rate_ratio", "ratio", x.rate_ratio, y.rate_ratio, noise(1, 1, drift=OFFERED))
    yield figure("Rate", "requests", "count", x.requests, y.requests, None)
    counts = {"errors": (sum(x.errors.values()), sum(y.errors.values())), "late": (x.late, y.late)}
    for name, (one, other) in {**counts, "dropped": (x.dropped, y.dropped)}.items():
        yield figure("Rate", name, "count", one, other, count_noise(one, other) if same_load else None)


def _latencies(a: RunView, b: RunView, pair: Pair) -> Iterator[Figure]:
    if a.summary and b.summary:
        for clock in ("response", "service"):
            one, other = getattr(a.summary.latency, clock), getattr(b.summary.latency, clock)
            yield from _percentiles(f"{clock.capitalize()} time", one, other, clock, pair)


def _percentiles(
    group: str, one: Percentiles, other: Percentiles, clock: str, pair: Pair
) -> Iterator[Figure]:
    for name, above in ABOVE.items():
        x, y = getattr(one, name), getattr(other, name)
        width = None
        if x is not None and y is not None and above is not None:
            samples = (above * one.count, above * other.count)
            width = noise(x, y, seconds=pair.latency(clock, name, x, y), samples=samples)
        yield figure(group, name, "us", x, y, width)


def _costs(a: RunView, b: RunView, pair: Pair) -> Iterator[Figure]:
    x, y = a.ledger, b.ledger
    if not x or not y or not a.summary or not b.summary:
        return
    group, requests = "A request costs", (a.summary.requests, b.summary.requests)
    if x.cpu_us is not None and y.cpu_us is not None:
        cpu = noise(x.cpu_us, y.cpu_us, seconds=pair.cpu_us())
        yield figure(group, "cpu_us", "us", x.cpu_us, y.cpu_us, cpu)
    for name in ("cpu_user_us", "cpu_system_us", "run_queue_us", "queue_wait_us"):
        yield _plain(group, name, "us", getattr(x, name), getattr(y, name))
    for name in ("io_calls", "syscalls", "voluntary_switches", "involuntary_switches", "wakeups"):
        one, other = getattr(x, name), getattr(y, name)
        width = None
        if one is not None and other is not None:
            width = noise(one, other, samples=(one * requests[0], other * requests[1]))
        yield figure(group, name, "per_request", one, other, width)


def _whole(a: RunView, b: RunView) -> Iterator[Figure]:
    x, y = a.ledger, b.ledger
    if x and y:
        yield figure("Whole run", "threads_peak", "count", x.threads_peak, y.threads_peak, None)
        for name in ("rss_bytes_peak", "anon_bytes_per_connection", "kernel_stack_bytes"):
            yield _plain("Whole run", name, "bytes", getattr(x, name), getattr(y, name))
        yield _plain("Whole run", "generator_cpu_us", "us", x.generator.cpu_us, y.generator.cpu_us)
        yield _plain(
            "Whole run", "generator_utilisation", "ratio", x.generator.utilisation, y.generator.utilisation
        )
    if a.summary and b.summary:
        for name, unit in (
            ("bytes_in", "bytes"),
            ("bytes_out", "bytes"),
            ("connections_peak", "count"),
            ("idle_connections_held", "count"),
            ("duration_s", "seconds"),
        ):
            yield figure("Whole run", name, unit, getattr(a.summary, name), getattr(b.summary, name), None)


def _kinds(a: RunView, b: RunView, pair: Pair) -> Iterator[Figure]:
    """Kinds of work that both runs have, where there is more than one. Of all kinds together are the rows a second."""
    if not a.summary or not b.summary or len(a.summary.by_kind) < 2:
        return
    others = {kind.label: kind for kind in b.summary.by_kind}
    for kind in a.summary.by_kind:
        if other := others.get(kind.label):
            for clock in ("response", "service"):
                group = f"{kind.label}, {clock} time"
                yield from _percentiles(group, getattr(kind, clock), getattr(other, clock), clock, pair)
