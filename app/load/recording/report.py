"""The report: builds the outcome from the tally when the load is over. The only place that makes HdrHistograms."""

from __future__ import annotations

import resource
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.load.connections.connection_set import Crowd
from app.load.connections.request_mix import Kind, Mix
from app.load.protocol import histogram
from app.load.protocol.meter import DRAIN
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.recording.tally import Marks, Row, Tally


@dataclass(frozen=True, slots=True)
class Instant:
    """The generator at one end of the measured window."""

    at_ns: int
    wall: datetime
    user_s: float
    system_s: float
    run_queue_ns: int | None
    held_ns: int
    marks: Marks

    @classmethod
    def take(cls, tally: Tally) -> Instant:
        """Between two phases: 0.5 ms with 10,000 connections in flight."""
        tally.take()
        now = time.monotonic_ns()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            now,
            datetime.now(UTC),
            used.ru_utime,
            used.ru_stime,
            _run_queue_ns(),
            tally.held_ns(now),
            tally.marks(),
        )


def _run_queue_ns() -> int | None:
    """How long this thread, the only one of a shard, has been ready to run without a CPU; None: not to be had."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # a kernel without CONFIG_SCHED_INFO
        return None


def build(
    tally: Tally, mix: Mix, begin: Instant, end: Instant, dropped: int, time_wait: int | None, crowd: Crowd
) -> Outcome:
    """The outcome of the measured window [begin, end); `mix` is that of the measured phase."""
    crew, floor = tally.crew, tally.floor
    intended = end.marks.intended - begin.marks.intended if floor.is_open else None
    finished = sum(kind.sent for kind in mix.kinds)
    lateness = histogram.of(tally.lateness.items())
    return Outcome(
        started_at=begin.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        measured_from_ns=tally.measured_from_ns,
        measured_to_ns=tally.measured_to_ns,
        duration_s=(tally.measured_to_ns - tally.measured_from_ns) / 1e9,
        stopped=floor.stopped,
        requests=sum(kind.done for kind in mix.kinds),
        errors=dict(sum((kind.errors for kind in mix.kinds), Counter(crew.errors))),
        intended=intended,
        sent=finished if intended is None else intended - dropped,
        dropped=dropped,
        late=end.marks.late - begin.marks.late,
        waited=end.marks.waited - begin.marks.waited,
        reconnects=crew.reconnects,
        bytes_in=sum(kind.bytes_in for kind in mix.kinds),
        bytes_out=sum(kind.sent * kind.request_bytes for kind in mix.kinds),
        connections_peak=crew.peak,
        idle_connections_held=crew.held,
        cpu_user_s=end.user_s - begin.user_s,
        cpu_system_s=end.system_s - begin.system_s,
        wall_s=(end.at_ns - begin.at_ns) / 1e9,
        run_queue_ns=_since(begin.run_queue_ns, end.run_queue_ns),
        send_jitter_p99_us=histogram.quantile(lateness, 0.99),
        lateness=histogram.encode(lateness),
        in_flight_ns=end.held_ns - begin.held_ns,
        kinds=tuple(_kind(kind) for kind in mix.kinds),
        seconds=tuple(_second(tally, row) for row in tally.rows if _worth_a_row(row)),
        missing=crowd.missing,
        idle_missing=crowd.idle_missing,
        aside_requests=crew.aside,
        aside_cut_off=crew.cut_off,
        time_wait=time_wait,
    )


def _since(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else end - begin


def _kind(kind: Kind) -> KindOutcome:
    service = histogram.encode(histogram.of(kind.total_service.items()))
    response = corrected = service
    if kind.total_response is not kind.total_service:
        response = histogram.encode(histogram.of(kind.total_response.items()))
        corrected = histogram.encode(histogram.of(kind.total_corrected.items()))
    return KindOutcome(kind.label, kind.name, kind.done, dict(kind.errors), service, response, corrected)


def _worth_a_row(row: Row) -> bool:
    return row.phase != DRAIN or bool(row.counted.requests or row.counted.errors)


def _second(tally: Tally, row: Row) -> Second:
    service = histogram.encode(histogram.of(row.service.items()))
    response = (
        service if row.response is row.service else histogram.encode(histogram.of(row.response.items()))
    )
    return Second(
        t=round((row.from_ns - tally.started_ns) / 1e9, 3),
        length_s=round((row.to_ns - row.from_ns) / 1e9, 3),
        phase=tally.phase_of(row),
        intended=row.counted.intended if tally.floor.is_open else None,
        sent=row.counted.sent,
        requests=row.counted.requests,
        errors=row.counted.errors,
        in_flight=row.in_flight,
        service=service,
        response=response,
    )
