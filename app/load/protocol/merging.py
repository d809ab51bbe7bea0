"""One outcome of several shards, exactly: counts and histograms are added, seconds stand beside each other.

Nothing is averaged. What is a share of a CPU is the busiest shard's, for that one limits the load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import KindOutcome, Outcome, Second

_ADDED = (
    "requests",
    "sent",
    "dropped",
    "late",
    "waited",
    "reconnects",
    "bytes_in",
    "bytes_out",
    "connections_peak",
    "idle_connections_held",
    "cpu_user_s",
    "cpu_system_s",
    "in_flight_ns",
    "background_requests",
    "background_closed",
    "missing",
    "idle_missing",
)


def merge(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of the load that the shards were together; at least one is needed."""
    first, *others = outcomes
    if not others:
        return first
    added = {name: sum(getattr(each, name) for each in outcomes) for name in _ADDED}
    from_ns = min(each.measured_from_ns for each in outcomes)
    to_ns = max(each.measured_to_ns for each in outcomes)
    lateness = _add(each.lateness for each in outcomes if each.lateness)
    return Outcome(
        **added,
        started_at=min(each.started_at for each in outcomes),
        measured_from_ns=from_ns,
        measured_to_ns=to_ns,
        duration_s=(to_ns - from_ns) / 1e9,
        stopped=any(each.stopped for each in outcomes),
        errors=_count(each.errors for each in outcomes),
        intended=_sum(each.intended for each in outcomes),
        wall_s=max(each.wall_s for each in outcomes),
        run_queue_ns=_all_of([each.run_queue_ns for each in outcomes]),
        send_jitter_p99_us=histogram.quantile(histogram.decode(lateness), 0.99),
        lateness=lateness,
        kinds=tuple(_kind(same) for same in zip(*(each.kinds for each in outcomes), strict=True)),
        seconds=_seconds(outcomes),
        time_wait=max((each.time_wait for each in outcomes if each.time_wait is not None), default=None),
        shards=sum(each.shards for each in outcomes),
        busiest=max(each.utilisation for each in outcomes),
    )


def _kind(same: Sequence[KindOutcome]) -> KindOutcome:
    service = _add(each.service for each in same)
    closed = all(each.response is each.service or each.response == each.service for each in same)
    known = all(each.corrected for each in same)
    return KindOutcome(
        same[0].label,
        same[0].kind,
        sum(each.requests for each in same),
        _count(each.errors for each in same),
        service,
        service if closed else _add(each.response for each in same),
        "" if not known else service if closed else _add(each.corrected for each in same),
    )


def _seconds(outcomes: Sequence[Outcome]) -> tuple[Second, ...]:
    """The nth second of a phase of all shards is one second of the load: they began together."""
    rows = [
        (second.phase, number, second)
        for outcome in outcomes
        for phase, seconds in groupby(outcome.seconds, key=lambda second: second.phase)
        for number, second in enumerate(seconds)
    ]
    order = {phase: place for place, phase in enumerate(dict.fromkeys(phase for phase, _, _ in rows))}
    rows.sort(key=lambda row: (order[row[0]], row[1]))
    return tuple(_second([row[2] for row in same]) for _, same in groupby(rows, key=lambda row: row[:2]))


def _second(same: Sequence[Second]) -> Second:
    if len(same) == 1:
        return same[0]
    from_s = min(each.t for each in same)
    service = _add(each.service for each in same)
    return Second(
        t=from_s,
        length_s=round(max(each.t + each.length_s for each in same) - from_s, 3),
        phase=same[0].phase,
        intended=_sum(each.intended for each in same),
        sent=sum(each.sent for each in same),
        requests=sum(each.requests for each in same),
        errors=sum(each.errors for each in same),
        in_flight=sum(each.in_flight for each in same),
        service=service,
        response=service if same[0].intended is None else _add(each.response for each in same),
    )


def _add(encoded: Iterable[str]) -> str:
    return histogram.encode(histogram.merge(histogram.decode(text) for text in encoded))


def _count(errors: Iterable[Any]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in errors:
        total.update(each)
    return dict(total)


def _all_of(counts: Sequence[int | None]) -> int | None:
    """None if one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _sum(counts: Iterable[int | None]) -> int | None:
    """None if there is nothing to add: the closed model intends nothing."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
