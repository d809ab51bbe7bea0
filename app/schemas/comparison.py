"""What a comparison shows of itself: frozen values that routes, pages and the shell print.

Field names are those of the API (units in the name); None is "not known", never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.schemas.result import Latency, ThresholdResult
from app.schemas.states import ComparisonState, RunState


@dataclass(frozen=True, slots=True)
class Entry:
    """One of those that are compared."""

    letter: str  # A, B, C …: how charts and tables name it
    name: str  # "Reactor pool, workers 8"
    model: str
    knobs: dict[str, int | str]  # those that were given; the others are at their defaults


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a comparison."""

    entry: int  # its place in `entries`, from 0
    trial: int  # from 1
    run: int
    state: RunState  # of the run when it ended
    verdict: str | None  # "Server bound"
    achieved_per_s: float | None
    cpu_us: float | None
    p50_us: float | None  # of response time
    p99_us: float | None
    rss_bytes_peak: int | None
    why_not: str | None  # why it is not ranked, in one sentence; None: it is
    thresholds: tuple[ThresholdResult, ...] = ()
    value: float | None = None  # of the figure that the comparison is about

    def of(self, metric: str) -> float | None:
        """Its value of that figure, also where it is of before 0.2 and has none of its own."""
        return self.value if self.value is not None else getattr(self, metric, None)


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over several trials; quartiles from four trials on."""

    n: int
    median: float
    minimum: float
    maximum: float
    q1: float | None
    q3: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an entry came to, over its ranked trials; over all that were measured where none could be ranked."""

    entry: int
    place: int | None  # 1 + how many are called better; None: not ranked, or there is no winner
    ranked: int  # trials that count for the ranking
    trials: int  # that have ended
    better_than: tuple[int, ...]  # entries that it is called better than
    figures: dict[str, Spread | None]  # of achieved_per_s, of every line of the ledger, and of the metric
    latency: Latency | None  # of the merged histograms of these trials


@dataclass(frozen=True, slots=True)
class Result:
    """The answer, as far as trials have ended."""

    metric: str  # the figure that is compared: app/results/figures.py
    standings: tuple[Standing, ...]  # in the order of the entries
    order: tuple[int, ...]  # entries, best first; those that are not ranked come last
    groups: tuple[tuple[int, ...], ...]  # too close to call among each other
    said: tuple[str, ...]  # in sentences


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Entries under one plan, in turns: A B C A B C …"""

    id: int
    state: ComparisonState
    progress: float  # 0..1
    left_s: float | None  # about; None: not known, or nothing left
    label: str | None
    view: str  # ceiling, equal-rate
    title: str
    scenario: str | None
    entries: tuple[Entry, ...]
    trials: int  # of each entry
    plan: dict[str, Any]
    plan_text: str
    thresholds: tuple[str, ...]
    environment: dict[str, Any]
    runs: tuple[Trial, ...]
    current: int | None  # the run that goes
    result: Result | None
    failure: str | None  # one sentence, when state is failed
    created_at: str
    finished_at: str | None
    rule: str = ""  # how entries were ranked; "" in comparisons of before 0.2

    @property
    def runs_total(self) -> int:
        return self.trials * len(self.entries)
