"""Lanes as frames show them: the state changes of each thread, or shares of time if there are too many."""

from __future__ import annotations

from typing import Any

from app.trace.recording import STATE_MASK
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

CHANGES_MAX = 400  # of one lane in a frame: 3 KB
CHANGES_IN_ALL = 4000  # so that a frame with 64 busy lanes stays below 50 KB
CHANGES_MIN = 40  # of one lane, however many lanes there are
SLICES = 20


def encode_lanes(trace: Trace, rings: int) -> dict[str, Any]:
    """Return the `trace` of a frame (docs/live.md). Times are CLOCK_MONOTONIC in µs.

    rings: the number of trace rings; threads with a higher slot have no lane.
    """
    changes_max = max(CHANGES_MIN, min(CHANGES_MAX, CHANGES_IN_ALL // max(1, len(trace.lanes))))
    return {
        "from_us": trace.from_ns // 1000,
        "to_us": trace.to_ns // 1000,
        "rings": rings,
        "lanes": [_lane(lane, trace, changes_max) for lane in trace.lanes],
    }


def _lane(lane: Lane, trace: Trace, changes_max: int) -> list[Any]:
    has_changes = len(lane.changes) <= changes_max
    return [
        lane.slot,
        lane.generation,
        lane.start,
        lane.lost,
        _changes(lane, trace.from_ns) if has_changes else None,
        None if has_changes else time_shares(lane, trace.from_ns, trace.to_ns),
    ]


def _changes(lane: Lane, from_ns: int) -> list[int]:
    """Return a flat list: µs since the previous change (the first: since `from_ns`), new state, …"""
    flat: list[int] = []
    previous_us = from_ns // 1000
    for change in lane.changes:
        # A thread may publish a change after its time stamp, so a change may be older than the interval.
        at_us = max(previous_us, (change >> STATE_BITS) // 1000)
        flat += (at_us - previous_us, _public_state(change & STATE_MASK))
        previous_us = at_us
    return flat


def time_shares(lane: Lane, from_ns: int, to_ns: int) -> list[list[int]]:
    """Return for each of SLICES equal slices a flat list: state, its share of the slice in ‰, …

    Costs 0.2 µs per change.
    """
    width_ns = max(1, (to_ns - from_ns) // SLICES)
    last_ns = from_ns + width_ns * SLICES
    slices, spent_ns = [], [0] * (STATE_MASK + 1)
    state, at_ns, end_ns = GAP if lane.start == UNKNOWN else lane.start, from_ns, from_ns + width_ns
    for change in (*lane.changes, last_ns << STATE_BITS):
        until_ns = min(change >> STATE_BITS, last_ns)
        while until_ns > end_ns:
            spent_ns[state] += end_ns - at_ns
            slices.append(_shares(spent_ns, width_ns))
            spent_ns, at_ns, end_ns = [0] * (STATE_MASK + 1), end_ns, end_ns + width_ns
        if until_ns > at_ns:  # else the change was published late
            spent_ns[state] += until_ns - at_ns
            at_ns = until_ns
        state = change & STATE_MASK
    return [*slices, _shares(spent_ns, width_ns)]


def _shares(spent_ns: list[int], width_ns: int) -> list[int]:
    shares: list[int] = []
    for state, ns in enumerate(spent_ns):
        if permille := (1000 * ns + width_ns // 2) // width_ns:
            shares += (_public_state(state), permille)
    return shares


def _public_state(state: int) -> int:
    return UNKNOWN if state == GAP else state
