"""The states of engines, runs and comparisons, and the names of verdicts. Their values are those of the API."""

from __future__ import annotations

from enum import StrEnum


class EngineState(StrEnum):
    """Where an engine is between its start and its end."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"  # alive, but something is wrong with it
    DRAINING = "draining"  # finishes the requests in flight, accepts no more
    STOPPED = "stopped"
    EXITED = "exited"  # ended without being asked to
    FAILED = "failed"  # did not start

    @property
    def is_alive(self) -> bool:
        return self in (EngineState.STARTING, EngineState.READY, EngineState.DEGRADED, EngineState.DRAINING)

    @property
    def is_serving(self) -> bool:
        """Whether it accepts requests, and so can be the target of a run."""
        return self in (EngineState.READY, EngineState.DEGRADED)


class RunState(StrEnum):
    """Where a run is between the queue and its result."""

    QUEUED = "queued"
    WARMING = "warming"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_unfinished(self) -> bool:
        return self in (RunState.QUEUED, RunState.WARMING, RunState.RUNNING)

    @property
    def is_in_progress(self) -> bool:
        return self in (RunState.WARMING, RunState.RUNNING)


class ComparisonState(StrEnum):
    """Where a comparison is between the queue and its result."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_unfinished(self) -> bool:
        return self in (ComparisonState.QUEUED, ComparisonState.RUNNING)


class VerdictName(StrEnum):
    """Who was the limit of a run."""

    SERVER_BOUND = "server_bound"
    CLIENT_BOUND = "client_bound"
    UNSATURATED = "unsaturated"
    RATE_MISSED = "rate_missed"
    ERRORS_DOMINATE = "errors_dominate"
    KERNEL_DROPS = "kernel_drops"
    NOISY = "noisy"
    DEGRADED = "degraded"
