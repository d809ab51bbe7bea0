"""What was observed of one engine during one trial: frozen data, from which summary, ledger and verdict are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.machine.proc import CoreReading, ListenDrops, ProcessReading, SwitchReading
from app.schemas.run import Mark
from engines.common.board.reader import Reading


@dataclass(frozen=True, slots=True)
class Edge:
    """Everything at one end of the measured window. `at_ns`: CLOCK_MONOTONIC; None: could not be read."""

    at_ns: int
    board: Reading
    process: ProcessReading | None
    switches: SwitchReading | None
    drops: ListenDrops | None
    cores: Mapping[int, CoreReading]


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The engine at an edge of a second; the generator's side of the second comes with its outcome.

    `cpu_percent` covers the time since `since_ns`, the edge before; the others are as they were at `at_ns`.
    """

    since_ns: int
    at_ns: int
    connections: int
    threads: int | None
    cpu_percent: float | None
    rss_bytes: int | None
    queue_depth: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One engine in one trial. Times are CLOCK_MONOTONIC in nanoseconds; None: not known."""

    engine: str  # its id
    model: str
    model_title: str
    died: str | None = None  # one sentence, if the engine is not alive any more
    lost: str | None = None  # one sentence, if one of its processes ended and the engine went on
    first: Edge | None = None  # of the measured window
    last: Edge | None = None
    before: ProcessReading | None = None  # before any connection of the trial
    answered: int = 0  # requests that it answered in this trial, by its own count
    system_calls: int | None = None  # in the measured window, counted by perf
    rss_peak: int | None = None  # bytes
    threads_peak: int | None = None
    samples: int = 0  # of the threads' states, in the measured window
    occupancy: Mapping[str, float] = field(default_factory=dict)  # by role: share of samples with work to do
    in_flight: tuple[int, ...] = ()  # sent and not answered, once in each measured second
    series: tuple[SeriesPoint, ...] = ()
    happened: tuple[tuple[int, str], ...] = ()  # when, and what
    stalled_ns: int = 0
    started_ns: int = 0  # when the load began; 0: it did not
    begun_ns: int = 0  # when the engine was observed first
    alone_from_ns: int = 0  # since then it serves alone; 0: it never did


def marks(observations: Iterable[Observation], started_ns: int) -> tuple[Mark, ...]:
    """Return what happened, in order. `started_ns`: the start of the warm-up, from which marks count seconds."""
    happened = sorted(each for observation in observations for each in observation.happened)
    return tuple(Mark(round((at_ns - started_ns) / 1e9, 3), text) for at_ns, text in happened if started_ns)
