"""Lanes for a page: each thread's states in one interval, as changes, or in slices where those are too many."""

from __future__ import annotations

from typing import Any

from engines.common.board import ENDED, QUEUE, WAITING
from engines.common.board_trace import GAP, STATE_BITS, UNKNOWN, Lane, Trace

CHANGES_MAX = 200  # of one lane in a frame; more are told as shares of time
CHANGES_IN_ALL = 4000  # a frame with 64 busy lanes stays below 50 KB
CHANGES_FEW = 40
SLICES = 20
RESTING = (ENDED, WAITING, QUEUE, GAP)


def lanes(trace: Trace, rings: int) -> dict[str, Any]:
    """As frames have it: times in µs of the clock of `t_s`; `rings`: so many threads at most can have a lane."""
    allowed = max(CHANGES_FEW, min(CHANGES_MAX, CHANGES_IN_ALL // max(1, len(trace.lanes))))
    return {
        "from_us": trace.from_ns // 1000,
        "to_us": trace.to_ns // 1000,
        "rings": rings,
        "lanes": [_lane(lane, trace, allowed) for lane in trace.lanes],
    }


def _lane(lane: Lane, trace: Trace, allowed: int) -> list[Any]:
    few = len(lane.changes) <= allowed
    return [
        lane.slot, lane.generation, lane.start, lane.lost,
        _changes(lane, trace.from_ns) if few else None,
        None if few else slices(lane, trace.from_ns, trace.to_ns),
    ]  # fmt: skip


def _changes(lane: Lane, from_ns: int) -> list[int]:
    """Flat: µs since the one before (the first: since the interval began), and the new state."""
    flat: list[int] = []
    before_us = from_ns // 1000
    for change in lane.changes:
        at_us = max(before_us, (change >> STATE_BITS) // 1000)  # a thread can be late to show what it has stamped
        flat += (at_us - before_us, _state(change & 15))
        before_us = at_us
    return flat


def slices(lane: Lane, from_ns: int, to_ns: int) -> list[list[int]]:
    """Flat in each slice: state and its share of the slice's time in ‰, rounded. 0.2 µs a change."""
    width = max(1, (to_ns - from_ns) // SLICES)
    last_ns = from_ns + width * SLICES
    found, spent = [], [0] * 16
    state, at, end = GAP if lane.start == UNKNOWN else lane.start, from_ns, from_ns + width
    for change in (*lane.changes, last_ns << STATE_BITS):
        until = min(change >> STATE_BITS, last_ns)
        while until > end:
            spent[state] += end - at
            found.append(_shares(spent, width))
            spent, at, end = [0] * 16, end, end + width
        if until > at:  # else it was shown late
            spent[state] += until - at
            at = until
        state = change & 15
    return [*found, _shares(spent, width)]


def _shares(spent: list[int], width: int) -> list[int]:
    shares: list[int] = []
    for state, ns in enumerate(spent):
        if permille := (1000 * ns + width // 2) // width:
            shares += (_state(state), permille)
    return shares


def _state(state: int) -> int:
    return UNKNOWN if state == GAP else state


class Rounds:
    """Loop lag: how long somebody had to wait who arrived when a loop had just begun a round. One engine's."""

    def __init__(self) -> None:
        self._busy_since: dict[tuple[int, int], int] = {}
        self._to_ns = 0
        self._workers: set[tuple[int, int]] = set()  # they rest in a queue, and nobody waits for one of them

    def longest_us(self, trace: Trace, loops: frozenset[int]) -> float | None:
        """The longest round that ended in this interval, or goes on; None where no lane is a loop's. `loops`: slots
        of threads that may be one; those that are seen to rest in a queue are none."""
        if trace.from_ns != self._to_ns:
            self._busy_since = {}  # it was off meanwhile
        self._to_ns = trace.to_ns
        longest: int | None = None
        busy: dict[tuple[int, int], int] = {}
        for lane in trace.lanes:
            if lane.slot not in loops or lane.end == ENDED:
                continue
            key = lane.slot, lane.generation
            if lane.start == QUEUE or any(change & 15 == QUEUE for change in lane.changes):
                self._workers.add(key)
            if key in self._workers:
                continue
            since = 0 if lane.start == UNKNOWN else self._busy_since.get(key, 0)
            longest = longest or 0
            for change in lane.changes:
                rests = change & 15 in RESTING
                if since and rests:
                    longest, since = max(longest, (change >> STATE_BITS) - since), 0
                elif not since and not rests:
                    since = change >> STATE_BITS
            if since:
                longest, busy[key] = max(longest, trace.to_ns - since), since
        self._busy_since = busy
        return None if longest is None else longest / 1000
