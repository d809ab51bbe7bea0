"""The report: builds the outcome from the tally when the load is over. The only place that makes HdrHistograms."""

from __future__ import annotations

import resource
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.load.connections.connection_set import ConnectionSet
from app.load.connections.request_mix import RequestKind, RequestMix
from app.load.protocol import histogram
from app.load.protocol.meter import DRAIN
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.recording.recorder import Recorder, SecondRecord, Totals


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The generator at one end of the measured window."""

    at_ns: int
    wall: datetime
    user_s: float
    system_s: float
    run_queue_ns: int | None
    in_flight_ns: int
    totals: Totals

    @classmethod
    def take(cls, recorder: Recorder) -> Snapshot:
        """Between two phases: 0.5 ms with 10,000 connections in flight."""
        recorder.collect()
        now = time.monotonic_ns()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            now,
            datetime.now(UTC),
            used.ru_utime,
            used.ru_stime,
            _run_queue_ns(),
            recorder.in_flight_ns(now),
            recorder.totals(),
        )


def _run_queue_ns() -> int | None:
    """How long this thread, the only one of a shard, has been ready to run without a CPU; None: not to be had."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # a kernel without CONFIG_SCHED_INFO
        return None


def build_outcome(
    recorder: Recorder,
    mix: RequestMix,
    begin: Snapshot,
    end: Snapshot,
    dropped: int,
    time_wait: int | None,
    connection_set: ConnectionSet,
) -> Outcome:
    """The outcome of the measured window [begin, end); `mix` is that of the measured phase."""
    pool, dispatcher = recorder.pool, recorder.dispatcher
    intended = end.totals.intended - begin.totals.intended if dispatcher.is_open else None
    finished = sum(kind.sent for kind in mix.kinds)
    lateness = histogram.from_counts(recorder.lateness.items())
    return Outcome(
        started_at=begin.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        measured_from_ns=recorder.measured_from_ns,
        measured_to_ns=recorder.measured_to_ns,
        duration_s=(recorder.measured_to_ns - recorder.measured_from_ns) / 1e9,
        stopped=dispatcher.stopped,
        requests=sum(kind.completed for kind in mix.kinds),
        errors=dict(sum((kind.errors for kind in mix.kinds), Counter(pool.errors))),
        intended=intended,
        sent=finished if intended is None else intended - dropped,
        dropped=dropped,
        late=end.totals.late - begin.totals.late,
        waited=end.totals.waited - begin.totals.waited,
        reconnects=pool.reconnects,
        bytes_in=sum(kind.bytes_in for kind in mix.kinds),
        bytes_out=sum(kind.sent * kind.request_bytes for kind in mix.kinds),
        connections_peak=pool.peak,
        idle_connections_held=pool.idle_held,
        cpu_user_s=end.user_s - begin.user_s,
        cpu_system_s=end.system_s - begin.system_s,
        wall_s=(end.at_ns - begin.at_ns) / 1e9,
        run_queue_ns=_difference(begin.run_queue_ns, end.run_queue_ns),
        send_jitter_p99_us=histogram.quantile(lateness, 0.99),
        lateness=histogram.encode(lateness),
        in_flight_ns=end.in_flight_ns - begin.in_flight_ns,
        kinds=tuple(_kind(kind) for kind in mix.kinds),
        seconds=tuple(_second(recorder, second) for second in recorder.seconds if _is_kept(second)),
        missing=connection_set.missing,
        idle_missing=connection_set.idle_missing,
        background_requests=pool.background_responses,
        background_closed=pool.slow_closed,
        time_wait=time_wait,
    )


def _difference(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else end - begin


def _kind(kind: RequestKind) -> KindOutcome:
    service = histogram.encode(histogram.from_counts(kind.total_service.items()))
    response = corrected = service
    if kind.total_response is not kind.total_service:
        response = histogram.encode(histogram.from_counts(kind.total_response.items()))
        corrected = histogram.encode(histogram.from_counts(kind.total_corrected.items()))
    return KindOutcome(kind.label, kind.name, kind.completed, dict(kind.errors), service, response, corrected)


def _is_kept(second: SecondRecord) -> bool:
    return second.phase != DRAIN or bool(second.counted.requests or second.counted.errors)


def _second(recorder: Recorder, second: SecondRecord) -> Second:
    service = histogram.encode(histogram.from_counts(second.service.items()))
    response = (
        service
        if second.response is second.service
        else histogram.encode(histogram.from_counts(second.response.items()))
    )
    return Second(
        t=round((second.from_ns - recorder.started_ns) / 1e9, 3),
        length_s=round((second.to_ns - second.from_ns) / 1e9, 3),
        phase=recorder.phase_of(second),
        intended=second.counted.intended if recorder.dispatcher.is_open else None,
        sent=second.counted.sent,
        requests=second.counted.requests,
        errors=second.counted.errors,
        in_flight=second.in_flight,
        service=service,
        response=response,
    )
