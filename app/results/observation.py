"""The watcher's observation of one engine during one trial: input of series, ledger and verdict.

Frozen data. Times are CLOCK_MONOTONIC in nanoseconds. None means unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.fleet.board import BoardReading
from app.machine.proc import CoreReading, ListenDrops, ProcessReading, SwitchReading
from app.schemas.run import TimelineEvent
from app.servers.processes import ProcessCpu


@dataclass(frozen=True, slots=True)
class Edge:
    """All readings at one edge of the measured window."""

    at_ns: int
    board: BoardReading
    process: ProcessReading | None
    switches: SwitchReading | None
    drops: ListenDrops | None
    cores: Mapping[int, CoreReading]
    processes: tuple[ProcessCpu, ...] = ()  # of an external server


@dataclass(frozen=True, slots=True)
class ThreadSamples:
    """Samples of one thread's state: all of them, those in which it had work, and those with it blocked.

    Blocked counts as having work: the thread handles a request, and sleeps or waits for a client.
    """

    role: str
    slot: int
    total: int
    occupied: int
    blocked: int


@dataclass(frozen=True, slots=True)
class DepthSamples:
    """Samples of the accept queue's depth: their number, their sum, and the largest."""

    count: int = 0
    total: int = 0
    peak: int = 0

    def add(self, depth: int) -> DepthSamples:
        """Return the samples with one more."""
        return DepthSamples(self.count + 1, self.total + depth, max(self.peak, depth))

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The engine at the end of one second of the series; the load generator's side comes with its outcome.

    `cpu_percent` (100 is one core) is the mean since `since_ns`; the other values were read at `at_ns`.
    """

    since_ns: int
    at_ns: int
    connections: int | None
    threads: int | None
    cpu_percent: float | None
    rss_bytes: int | None
    queue_depth: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """One engine during one trial."""

    engine: str  # its id
    model: str
    model_title: str
    died: str | None = None  # one sentence, if the engine is no longer alive
    stopped: bool = False  # the engine ended because it was stopped on request
    lost: str | None = None  # one sentence, if a worker process ended and the engine continued
    first: Edge | None = None  # of the measured window
    last: Edge | None = None
    before: ProcessReading | None = None  # before the trial opened connections
    answered: int | None = 0  # requests in this trial, counted by the engine; None: nothing counts them
    system_calls: int | None = None  # in the measured window, counted by perf
    rss_peak: int | None = None  # bytes
    threads_peak: int | None = None
    samples: int = 0  # of the threads' states, in the measured window
    occupancy: Mapping[str, float] = field(
        default_factory=dict
    )  # by role: share of samples in which threads had work
    thread_samples: tuple[ThreadSamples, ...] = ()  # in the measured window
    accept_queue: DepthSamples = DepthSamples()  # in the measured window
    in_flight: tuple[int, ...] = ()  # requests without a response, once in each measured second
    series: tuple[SeriesPoint, ...] = ()
    happened: tuple[tuple[int, str], ...] = ()  # time and text of each mark
    stalled_ns: int = 0
    started_ns: int = 0  # start of the load; 0 if it never started
    begun_ns: int = 0  # start of the observation
    alone_from_ns: int = 0  # from then on this engine serves alone; 0 if it never did


def marks(observations: Iterable[Observation], started_ns: int) -> tuple[TimelineEvent, ...]:
    """Return the marks of a trial in order of time.

    `started_ns`: start of the warm-up, from which marks count; 0 gives no marks.
    """
    happened = sorted(each for observation in observations for each in observation.happened)
    return tuple(
        TimelineEvent(round((at_ns - started_ns) / 1e9, 3), text) for at_ns, text in happened if started_ns
    )
