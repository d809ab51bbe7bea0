"""A snapshot of the generator, taken at each end of the measured window."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.load.recording.recorder import Recorder, Totals


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the generator has counted and used at one instant.

    - `at_ns`: CLOCK_MONOTONIC. `wall`: the same instant in UTC.
    - `user_s`, `system_s`: CPU time of the process.
    - `run_queue_ns`: how long its only thread has waited for a CPU; None: the kernel does not report it.
    - `in_flight_ns`: see `Outcome`.
    - `completed`: responses so far of each connection of the pool's `counted`.
    """

    at_ns: int
    wall: datetime
    user_s: float
    system_s: float
    run_queue_ns: int | None
    in_flight_ns: int
    completed: tuple[int, ...]
    totals: Totals

    @classmethod
    def take(cls, recorder: Recorder) -> Snapshot:
        """Take a snapshot, between two phases: 0.5 ms with 10,000 requests in flight."""
        recorder.collect()
        now = time.monotonic_ns()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            at_ns=now,
            wall=datetime.now(UTC),
            user_s=used.ru_utime,
            system_s=used.ru_stime,
            run_queue_ns=_run_queue_ns(),
            in_flight_ns=recorder.in_flight_ns(now),
            completed=tuple([connection.completed for connection in recorder.pool.counted]),
            totals=recorder.totals(),
        )


def _run_queue_ns() -> int | None:
    """Return the run-queue wait of this thread; see Documentation/scheduler/sched-stats.rst."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # a kernel without CONFIG_SCHED_INFO
        return None
