"""Figures: the numbers that a run is read for, by name: what each is called, and which way is better. Pure.

A name is a field of the ledger (`cpu_us`), the rate (`achieved_per_s`), what a search found (`kept_per_s`), a
percentile of response time (`p99_us`), or one of a single kind of the work mix (`plaintext.p99_us`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from app.load.protocol.histogram import Percentiles
from app.schemas.capacity import Capacity
from app.schemas.result import Ledger, Summary


class Family(StrEnum):
    """What a figure is a figure of: what spoils the one may leave the other alone."""

    COST = "cost"  # of the engine: CPU, memory, threads, calls
    RATE = "rate"
    LATENCY = "latency"


PERCENTILES = ("p50_us", "p90_us", "p99_us", "p999_us")
_TITLES = {
    "cpu_us": "CPU per request",
    "cpu_user_us": "user CPU per request",
    "cpu_system_us": "system CPU per request",
    "io_calls": "I/O calls per request",
    "syscalls": "system calls per request",
    "voluntary_switches": "voluntary switches per request",
    "involuntary_switches": "involuntary switches per request",
    "run_queue_us": "run-queue wait per request",
    "wakeups": "wake-ups per request",
    "queue_wait_us": "queue wait per request",
    "threads_peak": "threads",
    "rss_bytes_peak": "memory",
    "anon_bytes_per_connection": "memory per connection",
    "kernel_stack_bytes": "kernel stacks",
    "achieved_per_s": "throughput",
    "kept_per_s": "the highest rate that kept the objective",
    "p50_us": "p50 response time",
    "p90_us": "p90 response time",
    "p99_us": "p99 response time",
    "p999_us": "p99.9 response time",
}
_RATES = frozenset(("achieved_per_s", "kept_per_s"))
LEDGER = tuple(name for name in _TITLES if name not in _RATES and name not in PERCENTILES)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `label` is the kind of work that it is of, or "" for all of them."""

    name: str
    label: str = ""

    @classmethod
    def parse(cls, text: str) -> Figure:
        """Raises KeyError where there is no such figure."""
        label, _, name = text.rpartition(".")
        if name not in _TITLES or (label and name not in PERCENTILES):
            raise KeyError(text)
        return cls(name, label)

    def __str__(self) -> str:
        return f"{self.label}.{self.name}" if self.label else self.name

    @property
    def family(self) -> Family:
        if self.name in _RATES:
            return Family.RATE
        return Family.LATENCY if self.name in PERCENTILES else Family.COST

    @property
    def title(self) -> str:
        return f"{_TITLES[self.name]} of {self.label}" if self.label else _TITLES[self.name]

    @property
    def lower_is_better(self) -> bool:
        return self.name not in _RATES

    def text(self, value: float | None) -> str:
        """A value of it with its unit: 33.0 µs, 3.12 ms, 12,400 /s, 34.1 MiB."""
        if value is None:
            return "–"
        if self.name.startswith("cpu_"):
            return f"{value:,.1f} µs"
        if self.name.endswith("_us"):
            return f"{value:,.0f} µs" if value < 1000 else f"{value / 1000:,.2f} ms"
        if "bytes" in self.name:
            return f"{value / 2**20:,.1f} MiB" if value >= 2**20 else f"{value / 2**10:,.1f} KiB"
        if self.name in _RATES:
            return f"{value:,.0f} /s" if value >= 100 else f"{value:,.3g} /s"
        return f"{value:,.0f}" if self.name == "threads_peak" else f"{value:,.3f}"

    def value(
        self, summary: Summary | None, ledger: Ledger | None, capacity: Capacity | None = None
    ) -> float | None:
        """None where it is not known."""
        found: float | None = None
        if self.family is Family.COST:
            found = getattr(ledger, self.name, None)
        elif self.name == "kept_per_s":
            found = capacity.kept_per_s if capacity else None
        elif self.name == "achieved_per_s":
            found = summary.achieved_per_s if summary else None
        elif response := self.times(summary)[0]:
            found = getattr(response, self.name)
        return found

    def times(self, summary: Summary | None) -> tuple[Percentiles | None, Percentiles | None]:
        """The response times that a percentile is of, and the same as if the generator had never been late."""
        if summary is None:
            return None, None
        if not self.label:
            return summary.latency.response, summary.latency.corrected
        kind = next((kind for kind in summary.by_kind if kind.label == self.label), None)
        return (kind.response, kind.corrected) if kind else (None, None)


@cache
def figure(text: str) -> Figure:
    """A figure by its name; raises KeyError where there is none."""
    return Figure.parse(text)


def of_summary(summary: Summary, searched: bool) -> tuple[Figure, ...]:
    """All figures that a run of this summary has."""
    labels = ["", *(kind.label for kind in summary.by_kind)] if len(summary.by_kind) > 1 else [""]
    rates = ("achieved_per_s", "kept_per_s") if searched else ("achieved_per_s",)
    percentiles = (Figure(name, label) for label in labels for name in PERCENTILES)
    return (*map(Figure, LEDGER), *map(Figure, rates), *percentiles)
