"""Figures: the numbers by which runs are judged and compared, each with its title, unit and direction. Pure.

A name is a field of the ledger (`cpu_us`), the throughput (`achieved_per_s`), the result of a capacity search
(`kept_per_s`), Jain's index of requests per connection (`jain`), a percentile of response time (`p99_us`),
or that of one work kind (`plaintext.p99_us`).

With the name of a load group and a colon before it, it is a figure of that group: `new:p99_us`,
`new:sleep ms=50.p99_us`. The label of a work kind begins with its kind, so it never looks like a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from app import format
from app.load.protocol.histogram import Percentiles
from app.load.protocol.plan import is_group_name
from app.schemas.capacity import Capacity
from app.schemas.result import Ledger, Summary


class Family(StrEnum):
    """What a figure measures. An event may invalidate one family and not another."""

    COST = "cost"  # CPU, memory, threads and calls of the engine
    RATE = "rate"
    LATENCY = "latency"
    FAIRNESS = "fairness"  # how evenly connections are served


PERCENTILES = ("p50_us", "p90_us", "p99_us", "p999_us")
_TITLES = {
    "cpu_us": "CPU per request",
    "cpu_user_us": "user CPU per request",
    "cpu_system_us": "system CPU per request",
    "io_calls": "I/O calls per request",
    "syscalls": "system calls per request",
    "voluntary_switches": "voluntary context switches per request",
    "involuntary_switches": "involuntary context switches per request",
    "run_queue_us": "run-queue wait per request",
    "stalled_us": "waiting for the GIL or a lock per request",
    "wakeups": "wake-ups per request",
    "handoffs": "hand-offs between threads per request",
    "queue_wait_us": "work-queue wait per request",
    "accept_queue_mean": "mean accept-queue depth",
    "accept_queue_peak": "peak accept-queue depth",
    "accept_wait_us": "mean wait in the accept queue",
    "threads_peak": "peak threads",
    "rss_bytes_peak": "peak RSS",
    "anon_bytes_per_connection": "memory per connection",
    "kernel_stack_bytes": "kernel stack memory",
    "achieved_per_s": "throughput",
    "kept_per_s": "highest rate that met the objective",
    "p50_us": "p50 response time",
    "p90_us": "p90 response time",
    "p99_us": "p99 response time",
    "p999_us": "p99.9 response time",
    "jain": "fairness of requests per connection (Jain's index)",
}
_RATES = frozenset(("achieved_per_s", "kept_per_s"))
_COUNTS = frozenset(("threads_peak", "accept_queue_peak"))
_OF_GROUPS = frozenset(("achieved_per_s", "jain", *PERCENTILES))
LEDGER = tuple(name for name in _TITLES if name not in (*_RATES, *PERCENTILES, "jain"))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `label`: the work kind to which it is limited, "" for all.

    `group`: the load group of which it is, "" for the main load.
    """

    name: str
    label: str = ""
    group: str = ""

    @classmethod
    def parse(cls, text: str) -> Figure:
        """Return the figure of this name. Raises KeyError if there is none."""
        group, colon, rest = text.partition(":")
        if not (colon and is_group_name(group)):
            group, rest = "", text
        label, _, name = rest.rpartition(".")
        if name not in _TITLES or (label and name not in PERCENTILES) or (group and name not in _OF_GROUPS):
            raise KeyError(text)
        return cls(name, label, group)

    def __str__(self) -> str:
        name = f"{self.label}.{self.name}" if self.label else self.name
        return f"{self.group}:{name}" if self.group else name

    @property
    def family(self) -> Family:
        """What this figure measures."""
        if self.name in _RATES:
            return Family.RATE
        if self.name == "jain":
            return Family.FAIRNESS
        return Family.LATENCY if self.name in PERCENTILES else Family.COST

    @property
    def title(self) -> str:
        title = f"{_TITLES[self.name]} of {self.label}" if self.label else _TITLES[self.name]
        return f"{title} in group {self.group}" if self.group else title

    @property
    def lower_is_better(self) -> bool:
        return self.family not in (Family.RATE, Family.FAIRNESS)

    def text(self, value: float | None) -> str:
        """Return a value of this figure with its unit: 33.0 µs, 3.12 ms, 12,400 req/s, 34 MiB."""
        if value is None:
            return format.DASH
        if self.name.startswith("cpu_"):
            return f"{value:,.1f} µs"
        if self.name.endswith("_us"):
            return format.us(value)
        if "bytes" in self.name:
            return format.size(value)
        if self.name in _RATES:
            return format.request_rate(value)
        return format.count(value) if self.name in _COUNTS else format.decimal(value, 3)

    def axis_unit(self, high: float) -> tuple[float, str]:
        """Return divisor and unit of an axis for values up to `high`; the unit of a plain number is ""."""
        if self.name.startswith("cpu_"):
            return 1.0, "µs"
        if self.name.endswith("_us"):
            unit = format.time_unit(high)
            return unit.us, unit.symbol
        if "bytes" in self.name:
            return format.size_unit(high)
        return 1.0, "req/s" if self.name in _RATES else ""

    def value(
        self, summary: Summary | None, ledger: Ledger | None, capacity: Capacity | None = None
    ) -> float | None:
        """Return this figure of a run in the unit of its name; None if unknown."""
        found: float | None = None
        load = self.load(summary)
        if self.family is Family.COST:
            found = getattr(ledger, self.name, None)
        elif self.name == "kept_per_s":
            found = capacity.kept_per_s if capacity else None
        elif self.name == "achieved_per_s":
            found = load.achieved_per_s if load else None
        elif self.name == "jain":
            found = load.fairness.jain if load and load.fairness else None
        elif response := self.times(summary)[0]:
            found = getattr(response, self.name)
        return found

    def load(self, summary: Summary | None) -> Summary | None:
        """Return the summary of this figure's load: the main load or its group; None if unknown."""
        return summary.groups.get(self.group) if summary and self.group else summary

    def times(self, summary: Summary | None) -> tuple[Percentiles | None, Percentiles | None]:
        """Return the response times of this figure's work, as measured and corrected for late sends.

        Corrected times are as if the load generator had never been late. Either is None if unknown.
        """
        load = self.load(summary)
        if load is None:
            return None, None
        if not self.label:
            return load.latency.response, load.latency.corrected
        kind = next((kind for kind in load.by_kind if kind.label == self.label), None)
        return (kind.response, kind.corrected) if kind else (None, None)


@cache
def figure(text: str) -> Figure:
    """Return the figure of this name. Raises KeyError if there is none."""
    return Figure.parse(text)


def all_figures(summary: Summary, is_search: bool) -> tuple[Figure, ...]:
    """Return all figures of a run with this summary. `is_search`: it was a capacity search."""
    rates = ("achieved_per_s", "kept_per_s") if is_search else ("achieved_per_s",)
    groups = (
        each
        for name, group in summary.groups.items()
        for each in (Figure("achieved_per_s", group=name), *_of_load(group, name))
    )
    return (*map(Figure, LEDGER), *map(Figure, rates), *_of_load(summary), *groups)


def _of_load(summary: Summary, group: str = "") -> Iterator[Figure]:
    """Yield the percentiles of a load, for all work kinds and for each of several, and its fairness."""
    labels = ["", *(kind.label for kind in summary.by_kind)] if len(summary.by_kind) > 1 else [""]
    yield from (Figure(name, label, group) for label in labels for name in PERCENTILES)
    if summary.fairness:
        yield Figure("jain", group=group)
