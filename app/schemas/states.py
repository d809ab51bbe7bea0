"""States of engines, runs and comparisons, verdicts and answers. The values are those of the JSON API."""

from __future__ import annotations

from enum import StrEnum


class EngineState(StrEnum):
    """The state of an engine, from start to exit."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"  # alive, with a problem that `detail` names
    DRAINING = "draining"  # finishes in-flight requests and accepts no new connections
    STOPPED = "stopped"
    EXITED = "exited"  # ended without a stop request
    FAILED = "failed"  # did not start

    @property
    def is_alive(self) -> bool:
        return self in (EngineState.STARTING, EngineState.READY, EngineState.DEGRADED, EngineState.DRAINING)

    @property
    def is_serving(self) -> bool:
        """Whether the engine accepts requests, so that a run can target it."""
        return self in (EngineState.READY, EngineState.DEGRADED)


class RunState(StrEnum):
    """The state of a run, from the queue to its result."""

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


class JobState(StrEnum):
    """The state of a comparison, an experiment or a tuning, from the queue to its result."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_unfinished(self) -> bool:
        return self in (JobState.QUEUED, JobState.RUNNING)


class DemonstrationState(StrEnum):
    """The state of the demonstration of the home page."""

    STARTING = "starting"
    LOADING = "loading"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def is_unfinished(self) -> bool:
        return self in (DemonstrationState.STARTING, DemonstrationState.LOADING)


class VerdictName(StrEnum):
    """What limited a run: the server, the load generator, neither, or a fault."""

    SERVER_BOUND = "server_bound"
    CLIENT_BOUND = "client_bound"
    UNSATURATED = "unsaturated"
    RATE_MISSED = "rate_missed"
    ERRORS_DOMINATE = "errors_dominate"
    KERNEL_DROPS = "kernel_drops"
    NOISY = "noisy"
    DEGRADED = "degraded"


class Answer(StrEnum):
    """The answer of an experiment. Those that lean are tendencies of fewer than seven rounds."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does_not_hold"
    NO_DIFFERENCE = "no_difference"
    TOO_CLOSE = "too_close"
    CANNOT_TEST = "cannot_test"
    NOT_JUDGED = "not_judged"
    LEANS_HOLDS = "leans_holds"
    LEANS_DOES_NOT_HOLD = "leans_does_not_hold"
    LEANS_NO_DIFFERENCE = "leans_no_difference"
    UNCLEAR = "unclear"


class Relation(StrEnum):
    """How one entry of a comparison relates to another one by the compared figure."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no_difference"
    TOO_CLOSE = "too_close"
    LEANS_BETTER = "leans_better"
    LEANS_WORSE = "leans_worse"
    LEANS_NO_DIFFERENCE = "leans_no_difference"
    UNCLEAR = "unclear"
    NOT_COMPARED = "not_compared"  # no round has a valid trial of both
