"""Builds the outcome from the recorder when the load is over.

HdrHistograms are made here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from app.load.connections.connection_set import ConnectionSet
from app.load.connections.request_kind import RequestKind
from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.meter import DRAIN
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.recording.recorder import Recorder, SecondRecord
from app.load.recording.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class MeasuredWindow:
    """The measured window [begin, end).

    - `kinds`: the kinds of request that were sent in it.
    - `dropped`: requests that were due in it and never sent.
    - `time_wait`: sockets in TIME_WAIT at its end; None: not counted.
    """

    kinds: list[RequestKind]
    begin: Snapshot
    end: Snapshot
    dropped: int
    time_wait: int | None


def build_outcome(recorder: Recorder, window: MeasuredWindow, connection_set: ConnectionSet) -> Outcome:
    """Return the outcome. Call it after the drain."""
    pool, dispatcher = recorder.pool, recorder.dispatcher
    kinds, begin, end = window.kinds, window.begin, window.end
    counted = end.totals - begin.totals
    intended = counted.intended if dispatcher.is_open else None
    ended = sum(kind.sent for kind in kinds)
    lateness = histogram.from_counts(recorder.lateness.items())
    return Outcome(
        started_at=begin.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        measured_from_ns=recorder.measured_from_ns,
        measured_to_ns=recorder.measured_to_ns,
        duration_s=(recorder.measured_to_ns - recorder.measured_from_ns) / 1e9,
        stopped=dispatcher.stopped,
        requests=sum(kind.completed for kind in kinds),
        errors=dict(sum((kind.errors for kind in kinds), Counter(pool.errors))),
        intended=intended,
        sent=ended if intended is None else intended - window.dropped,
        dropped=window.dropped,
        late=counted.late,
        waited=counted.waited,
        reconnects=pool.reconnects,
        bytes_in=sum(kind.bytes_in for kind in kinds),
        bytes_out=sum(kind.sent * kind.request_bytes for kind in kinds),
        connections_peak=pool.peak,
        idle_connections_held=pool.idle_held,
        cpu_user_s=end.user_s - begin.user_s,
        cpu_system_s=end.system_s - begin.system_s,
        wall_s=(end.at_ns - begin.at_ns) / 1e9,
        run_queue_ns=_run_queue_ns(begin, end),
        send_jitter_p99_us=histogram.quantile(lateness, 0.99),
        lateness=histogram.encode(lateness),
        in_flight_ns=end.in_flight_ns - begin.in_flight_ns,
        kinds=tuple(_kind(kind) for kind in kinds),
        seconds=tuple(_second(recorder, second) for second in recorder.seconds if _is_reported(second)),
        missing=connection_set.missing,
        idle_missing=connection_set.idle_missing,
        background_requests=pool.background_responses,
        background_closed=pool.slow_closed,
        time_wait=window.time_wait,
        per_connection=_per_connection(begin, end),
    )


def _per_connection(begin: Snapshot, end: Snapshot) -> ConnectionRequests | None:
    if not end.completed:
        return None
    return ConnectionRequests.of([b - a for a, b in zip(begin.completed, end.completed, strict=True)])


def _run_queue_ns(begin: Snapshot, end: Snapshot) -> int | None:
    if begin.run_queue_ns is None or end.run_queue_ns is None:
        return None
    return end.run_queue_ns - begin.run_queue_ns


def _kind(kind: RequestKind) -> KindOutcome:
    service = _encoded(kind.total_service.items())
    response = corrected = service
    if kind.total_response is not kind.total_service:
        response = _encoded(kind.total_response.items())
        corrected = _encoded(kind.total_corrected.items())
    times = kind.times.encode() if kind.times else ""
    errors = dict(kind.errors)
    return KindOutcome(kind.label, kind.name, kind.completed, errors, service, response, corrected, times)


def _is_reported(second: SecondRecord) -> bool:
    return second.phase != DRAIN or bool(second.counted.requests or second.counted.errors)


def _second(recorder: Recorder, second: SecondRecord) -> Second:
    service = _encoded(second.service.items())
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
        response=service if second.response is second.service else _encoded(second.response.items()),
    )


def _encoded(counts: Iterable[tuple[int, int]]) -> str:
    return histogram.encode(histogram.from_counts(counts))
