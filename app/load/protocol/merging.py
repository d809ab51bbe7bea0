"""Merges the outcomes of several shards exactly: counts and histograms are added, not averaged.

What is a share of one CPU is that of the busiest shard, because that one limits the load.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import add

from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.protocol.request_times import merge_times

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
    """Return the outcome of the load that the shards made together. There must be at least one."""
    first, *others = outcomes
    if not others:
        return first
    added = {name: sum(getattr(each, name) for each in outcomes) for name in _ADDED}
    from_ns = min(each.measured_from_ns for each in outcomes)
    to_ns = max(each.measured_to_ns for each in outcomes)
    lateness = _merge_encoded(each.lateness for each in outcomes if each.lateness)
    return Outcome(
        **added,
        started_at=min(each.started_at for each in outcomes),
        measured_from_ns=from_ns,
        measured_to_ns=to_ns,
        duration_s=(to_ns - from_ns) / 1e9,
        stopped=any(each.stopped for each in outcomes),
        errors=_merge_counts(each.errors for each in outcomes),
        intended=_sum_known(each.intended for each in outcomes),
        wall_s=max(each.wall_s for each in outcomes),
        run_queue_ns=_sum_if_all_known([each.run_queue_ns for each in outcomes]),
        send_jitter_p99_us=histogram.quantile(histogram.decode(lateness), 0.99),
        lateness=lateness,
        kinds=tuple(_merge_kind(same) for same in zip(*(each.kinds for each in outcomes), strict=True)),
        seconds=_merge_seconds(outcomes),
        time_wait=max((each.time_wait for each in outcomes if each.time_wait is not None), default=None),
        per_connection=_add_if_all_known([each.per_connection for each in outcomes]),
        shards=sum(each.shards for each in outcomes),
        busiest=max(each.utilisation for each in outcomes),
        groups=_merge_groups(outcomes),
    )


def _merge_groups(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """Return the outcome of each group, merged from those that have it."""
    names = dict.fromkeys(name for each in outcomes for name in each.groups)
    return {name: merge([each.groups[name] for each in outcomes if name in each.groups]) for name in names}


def busiest_cpu(shards: Sequence[tuple[int | None, Outcome]], cpus: int) -> float:
    """Return the highest utilisation of one CPU by a generator of at least one shard.

    `shards`: the outcome of each, with the CPU to which it is pinned; None: to none. Shards on one CPU share
    it, so their utilisations add up. Unpinned ones run on any of `cpus` CPUs: the busiest of these carries at
    least one shard, and at least the mean.
    """
    pinned: defaultdict[int, float] = defaultdict(float)
    for cpu, outcome in shards:
        if cpu is not None:
            pinned[cpu] += outcome.utilisation
    others = [outcome.utilisation for cpu, outcome in shards if cpu is None]
    return max(*pinned.values(), *others, sum(others) / cpus, 0.0)


def _merge_kind(same: Sequence[KindOutcome]) -> KindOutcome:
    """Return the sum of one kind of request over all shards."""
    service = _merge_encoded(each.service for each in same)
    closed = all(each.response is each.service or each.response == each.service for each in same)
    known = all(each.corrected for each in same)
    return KindOutcome(
        label=same[0].label,
        kind=same[0].kind,
        requests=sum(each.requests for each in same),
        errors=_merge_counts(each.errors for each in same),
        service=service,
        response=service if closed else _merge_encoded(each.response for each in same),
        corrected="" if not known else service if closed else _merge_encoded(each.corrected for each in same),
        times=merge_times(each.times for each in same),
    )


def _merge_seconds(outcomes: Sequence[Outcome]) -> tuple[Second, ...]:
    """Return the seconds of the load: the nth one of a phase is at the same time in all shards."""
    rows = [
        (second.phase, number, second)
        for outcome in outcomes
        for phase, seconds in groupby(outcome.seconds, key=lambda second: second.phase)
        for number, second in enumerate(seconds)
    ]
    order = {phase: index for index, phase in enumerate(dict.fromkeys(phase for phase, _, _ in rows))}
    rows.sort(key=lambda row: (order[row[0]], row[1]))
    groups = groupby(rows, key=lambda row: row[:2])
    return tuple(_merge_second([row[2] for row in same]) for _, same in groups)


def _merge_second(same: Sequence[Second]) -> Second:
    """Return the sum of one second over all shards."""
    if len(same) == 1:
        return same[0]
    from_s = min(each.t for each in same)
    service = _merge_encoded(each.service for each in same)
    return Second(
        t=from_s,
        length_s=round(max(each.t + each.length_s for each in same) - from_s, 3),
        phase=same[0].phase,
        intended=_sum_known(each.intended for each in same),
        sent=sum(each.sent for each in same),
        requests=sum(each.requests for each in same),
        errors=sum(each.errors for each in same),
        in_flight=sum(each.in_flight for each in same),
        service=service,
        response=service if same[0].intended is None else _merge_encoded(each.response for each in same),
    )


def _merge_encoded(encoded: Iterable[str]) -> str:
    return histogram.encode(histogram.merge(histogram.decode(text) for text in encoded))


def _merge_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _add_if_all_known(parts: Sequence[ConnectionRequests | None]) -> ConnectionRequests | None:
    """Return None if any part is None."""
    known = [part for part in parts if part is not None]
    return reduce(add, known) if len(known) == len(parts) else None


def _sum_if_all_known(counts: Sequence[int | None]) -> int | None:
    """Return None if any count is None."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _sum_known(counts: Iterable[int | None]) -> int | None:
    """Return the sum of the counts that are known; None if none is (a closed model's `intended`)."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
