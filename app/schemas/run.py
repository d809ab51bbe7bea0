"""A run, with what happened in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.load.protocol.histogram import Percentiles
from app.schemas.capacity import Capacity
from app.schemas.result import Ledger, Summary, ThresholdResult, Verdict
from app.schemas.states import RunState

WARM_UP_ENDS = "warm-up ends"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one instant of a run."""

    t_s: float  # from the start of the warm-up
    text: str


@dataclass(frozen=True, slots=True)
class Follower:
    """An engine that is to take over in a relay: a fresh one of a model."""

    model: str
    knobs: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Leg:
    """What one engine of a relay served alone, in whole seconds of the run; None: it never served one alone."""

    engine: str
    model: str
    model_title: str
    from_s: float | None  # from the start of the warm-up
    to_s: float | None
    requests: int
    errors: int
    achieved_per_s: float | None
    service: Percentiles
    response: Percentiles
    cpu_us: float | None


@dataclass(frozen=True, slots=True)
class RunView:
    id: int
    state: RunState
    progress: float  # 0..1
    label: str | None
    scenario: str | None
    title: str  # the scenario's title, or the plan in words
    model: str
    model_title: str
    engine: str | None
    knobs: dict[str, int | str]
    plan: dict[str, Any]
    plan_text: str  # "closed, 64 connections, 10 s after 2 s of warm-up"
    placement: dict[str, Any]  # {"mode", "engine_cpus", "load_cpus", "load_priority"}
    environment: dict[str, Any]
    summary: Summary | None
    ledger: Ledger | None
    verdict: Verdict | None
    thresholds: tuple[ThresholdResult, ...]
    failure: str | None  # one sentence, when state is failed, or stopped before anything was measured
    created_at: str
    finished_at: str | None
    capacity: Capacity | None = None  # of find-capacity
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()  # sentences: what the load generator remarked, what a stall hid
    comparison: int | None = None  # the comparison that it is a trial of
    legs: tuple[Leg, ...] = ()  # of a relay: its first engine and those that took over
    then: tuple[Follower, ...] = ()  # of a relay: who was to take over, whether they could or not
    beside: tuple[int, ...] = ()  # the runs that went at the same time, each against an engine of its own
