"""A tuning and its result, as pages, API and command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.schemas.states import Answer, JobState, RunState


@dataclass(frozen=True, slots=True)
class TuningTrial:
    """One run of a tuning: a capacity search with one value of the knob."""

    value: int  # index in `TuningView.values`, from 0
    round: int  # from 1
    run: int
    state: RunState  # of the run when it ended
    rate_per_s: float | None  # highest rate that kept the objective; 0: no rate did; None: void
    at_least_per_s: float | None  # of a void run: a rate that kept it where something else was the limit
    limited_by: str | None  # one sentence, if something other than the server ended the search
    verdict: str | None  # "Limited by the server"
    cpu_us: float | None  # per request, at that rate
    cpus: int | None  # CPUs of the engine
    why_not: str | None  # why the run is void, in one sentence; None: it counts


@dataclass(frozen=True, slots=True)
class ValueResult:
    """The result of one value of the knob over its valid runs. Rates are in req/s; 0: no rate kept it."""

    value: int  # index in `TuningView.values`
    n: int  # valid runs
    trials: int  # runs that have ended
    rates: tuple[float, ...]  # of the valid runs, in the order of the rounds
    median_per_s: float | None
    min_per_s: float | None
    max_per_s: float | None
    ratios: tuple[float, ...]  # to the best value, within the rounds in which both are valid
    within: Answer | None  # whether it is within 10 % of the best value; None: nothing to compare it with


@dataclass(frozen=True, slots=True)
class PoolFormula:
    """The size of a pool by the formula N · (1 + W/C), of Java Concurrency in Practice, section 8.2."""

    cpus: int  # N
    wait_us: float  # W, the sleep of a request
    compute_us: float  # C, the CPU time of a request
    threads: float
    pools: int  # processes that have such a pool each
    value: float  # threads / pools: the value of the knob


@dataclass(frozen=True, slots=True)
class TuningResult:
    """The result of the runs that have ended."""

    values: tuple[ValueResult, ...]  # in the order of `TuningView.values`
    best: int | None  # index of the value with the highest median; None: not known
    answer: int | None  # index of the smallest value within 10 % of the best; of choices, the best
    is_decided: bool  # False: a tendency of too few rounds
    formula: PoolFormula | None
    sentences: tuple[str, ...]  # the answer first


@dataclass(frozen=True, slots=True)
class TuningView:
    """A tuning: one knob, whose values are measured in rounds of random order."""

    id: int
    state: JobState
    progress: float  # 0..1
    left_s: float | None  # estimate; None: not known, or nothing left
    label: str | None
    model: str
    model_title: str
    server: str | None  # the name of the external server, which `model` has, too
    knob: str
    unit: str  # of the knob, or empty
    values: tuple[int | str, ...]  # numbers in ascending order
    knobs: dict[str, int | str]  # the other knobs that were given
    objective: str
    scenario: str | None
    plan: dict[str, Any]
    plan_text: str
    rounds: int
    seed: int
    environment: dict[str, Any]
    runs: tuple[TuningTrial, ...]
    current: int | None  # id of the run in progress
    result: TuningResult | None
    failure: str | None  # one sentence, if state is failed
    rule: str
    created_at: str
    finished_at: str | None

    @property
    def runs_total(self) -> int:
        return self.rounds * len(self.values)

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers, and not choices."""
        return not any(isinstance(value, str) for value in self.values)
