"""A run: request, progress and result, as pages, API and command line show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.load.protocol.histogram import Percentiles
from app.schemas.capacity import Capacity
from app.schemas.result import Ledger, ProcessShare, Summary, ThresholdResult, Verdict
from app.schemas.states import RunState

WARM_UP_ENDS = "warm-up ends"


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """An event on the timeline of a run, such as the end of the warm-up or the exit of a process."""

    t_s: float  # since the start of the warm-up
    text: str


@dataclass(frozen=True, slots=True)
class Successor:
    """An engine that takes over in a hot swap: a new one of this model with these knobs."""

    model: str
    knobs: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class HotSwapPhase:
    """The whole seconds of a hot swap in which one engine served alone. None: there was no such second."""

    engine: str
    model: str
    model_title: str
    from_s: float | None  # since the start of the warm-up
    to_s: float | None
    requests: int | None
    errors: int | None
    achieved_per_s: float | None
    service: Percentiles
    response: Percentiles
    cpu_us: float | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as clients see it. Result fields are None until the run has ended."""

    id: int
    state: RunState
    progress: float  # 0..1
    label: str | None
    scenario: str | None
    title: str  # title of the scenario, or model and load: "Reactor pool · 600 req/s"
    model: str
    model_title: str
    engine: str | None
    knobs: dict[str, int | str]
    plan: dict[str, Any]
    plan_text: str  # "64 connections, closed loop, 10 s after 2 s of warm-up"
    placement: dict[str, Any]  # {"mode", "engine_cpus", "load_cpus", "load_priority", "hosts"}
    environment: dict[str, Any]
    summary: Summary | None
    ledger: Ledger | None
    verdict: Verdict | None
    thresholds: tuple[ThresholdResult, ...]
    failure: str | None  # one sentence, if state is failed, or stopped without data
    created_at: str
    finished_at: str | None
    capacity: Capacity | None = None  # of a capacity search
    marks: tuple[TimelineEvent, ...] = ()
    notes: tuple[str, ...] = ()  # sentences: missing connections, effects of a server pause
    comparison: int | None = None  # id of the comparison, if the run is one of its trials
    legs: tuple[HotSwapPhase, ...] = ()  # of a hot swap: one phase per engine
    then: tuple[Successor, ...] = ()  # of a hot swap: the requested successors, whether they started or not
    beside: tuple[int, ...] = ()  # ids of the concurrent runs, each against its own engine
    experiment: int | None = None  # id of the experiment, if the run is one of its trials
    tuning: int | None = None  # id of the tuning, if the run is one of its trials
    comment: str | None = None  # plain text of the user; `notes` are those of the lab
    server: str | None = None  # the name of the external server, which `model` has, too
    processes: tuple[ProcessShare, ...] = ()  # of an external server, the first one first
