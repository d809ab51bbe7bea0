"""A comparison and its result, as pages, API and command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.schemas.host import RoundHost
from app.schemas.result import Latency, ThresholdResult
from app.schemas.states import JobState, Relation, RunState


@dataclass(frozen=True, slots=True)
class ComparisonEntry:
    """One of the compared engines: a model with knobs."""

    letter: str  # A, B, C …: its name in charts and tables
    name: str  # "Reactor pool, workers 8"
    model: str
    knobs: dict[str, int | str]  # the knobs that were given; the others have their defaults


@dataclass(frozen=True, slots=True)
class ComparisonTrial:
    """One run of a comparison."""

    entry: int  # index in `ComparisonView.entries`, from 0
    trial: int  # the number of its round, from 1
    run: int
    state: RunState  # of the run when it ended
    verdict: str | None  # "Limited by the server"
    achieved_per_s: float | None
    cpu_us: float | None
    p50_us: float | None  # of response time
    p99_us: float | None
    rss_bytes_peak: int | None
    why_not: str | None  # why it is excluded from the ranking, in one sentence; None: it is ranked
    thresholds: tuple[ThresholdResult, ...] = ()
    value: float | None = None  # of the compared figure

    def value_of(self, metric: str) -> float | None:
        """Return the value of the compared figure; earlier versions stored it as a field only."""
        return self.value if self.value is not None else getattr(self, metric, None)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, range and quartiles of one figure over several trials; quartiles from four trials on."""

    n: int
    median: float
    minimum: float
    maximum: float
    q1: float | None
    q3: float | None


@dataclass(frozen=True, slots=True)
class EntryResult:
    """The result of one entry over its ranked trials, or over all measured trials if none could be ranked."""

    entry: int
    place: int | None  # 1 + number of better entries; None: not ranked, or there is no winner
    ranked: int  # valid trials
    trials: int  # trials that have ended
    better_than: tuple[int, ...]  # indexes of the entries that it is better than, by the rule of the ranking
    figures: dict[str, Spread | None]  # achieved_per_s, every figure of the ledger, and the compared figure
    latency: Latency | None  # from the merged histograms of these trials


@dataclass(frozen=True, slots=True)
class EntryPair:
    """Two entries, by index, with their ratios within rounds: figure of `a` / figure of `b`."""

    a: int
    b: int
    relation: Relation  # of a to b
    ratios: tuple[float, ...]  # in the order of the rounds; without those in which one trial is not valid
    ratio: float | None  # their geometric mean; None: there are none


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The result of the trials that have ended."""

    metric: str  # name of the compared figure: app/results/figures.py
    standings: tuple[EntryResult, ...]  # in the order of the entries
    order: tuple[int, ...]  # indexes of entries, best first; unranked ones last
    groups: tuple[tuple[int, ...], ...]  # neighbours in the order of which none is better, by index
    said: tuple[str, ...]  # the result in sentences
    pairs: tuple[EntryPair, ...] = ()  # every two entries; () in comparisons stored by an earlier version


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """A comparison: entries under one plan, measured in rounds of random order."""

    id: int
    state: JobState
    progress: float  # 0..1
    left_s: float | None  # estimate; None: not known, or nothing left
    label: str | None
    view: str  # ceiling, equal-rate
    title: str
    scenario: str | None
    entries: tuple[ComparisonEntry, ...]
    trials: int  # rounds; a round has one trial of each entry
    plan: dict[str, Any]
    plan_text: str
    thresholds: tuple[str, ...]
    environment: dict[str, Any]
    runs: tuple[ComparisonTrial, ...]
    current: int | None  # id of the run in progress
    result: ComparisonResult | None
    failure: str | None  # one sentence, if state is failed
    created_at: str
    finished_at: str | None
    rule: str = ""  # the rule of the ranking; "" in comparisons stored by an earlier version
    seed: int | None = None  # of the random order; None: the order is fixed (A B C A B C …)
    hosts: tuple[RoundHost, ...] = ()  # that measured the rounds; (): this machine
    host_notes: tuple[str, ...] = ()  # lost rounds, and what depends on the kind of host

    @property
    def runs_total(self) -> int:
        return self.trials * len(self.entries)

    def round_text(self, number: int) -> str:
        """Return "round 3 of 7"; a round after the last one repeats void trials."""
        return f"round {number} of {self.trials}" if number <= self.trials else f"repeat round {number}"
