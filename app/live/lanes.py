"""Lanes for a page: each thread's states in one interval, as changes, or in slices where those are too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.common.board.board import ENDED, IDLE_STATES, QUEUE
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

CHANGES_MAX = 200  # of one lane in a frame; more are told as shares of time
CHANGES_IN_ALL = 4000  # a frame with 64 busy lanes stays below 50 KB
CHANGES_FEW = 40
SLICES = 20


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
        lane.slot,
        lane.generation,
        lane.start,
        lane.lost,
        _changes(lane, trace.from_ns) if few else None,
        None if few else slices(lane, trace.from_ns, trace.to_ns),
    ]


def _changes(lane: Lane, from_ns: int) -> list[int]:
    """Flat: µs since the one before (the first: since the interval began), and the new state."""
    flat: list[int] = []
    before_us = from_ns // 1000
    for change in lane.changes:
        at_us = max(
            before_us, (change >> STATE_BITS) // 1000
        )  # a thread can be late to show what it has stamped
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
        self._busy_since: dict[
            tuple[int, int], int | None
        ] = {}  # at the last interval's end; None: not known
        self._to_ns = 0
        self._workers: set[str] = set()  # roles that rest in a queue: nobody waits for a certain one of them

    def longest_us(self, trace: Trace, loops: Mapping[int, str]) -> float | None:
        """The longest round that ended in this interval, or goes on; None where that of one loop is not known, or no
        thread is a loop. `loops`: roles of the threads that may be one, by slot."""
        if trace.from_ns != self._to_ns:
            self._busy_since = {}  # it was off meanwhile
        self._to_ns = trace.to_ns
        lanes = [lane for lane in trace.lanes if lane.slot in loops and lane.end != ENDED]
        self._workers |= {loops[lane.slot] for lane in lanes if _queues(lane)}
        lanes = [lane for lane in lanes if loops[lane.slot] not in self._workers]
        rounds = [_rounds(lane, self._since(lane), trace.to_ns) for lane in lanes]
        self._busy_since = {
            (lane.slot, lane.generation): since for lane, (_, since) in zip(lanes, rounds, strict=True)
        }
        seen = {lane.slot for lane in trace.lanes}
        if any(slot not in seen and role not in self._workers for slot, role in loops.items()):
            return None  # it has no ring
        known = [longest for longest, _ in rounds if longest is not None]
        return max(known) / 1000 if known and len(known) == len(rounds) else None

    def _since(self, lane: Lane) -> int | None:
        """When the round began that a loop is in at the interval's beginning; 0: in none; None: not known."""
        if lane.start in IDLE_STATES:
            return 0
        return None if lane.start == UNKNOWN else self._busy_since.get((lane.slot, lane.generation))


def _queues(lane: Lane) -> bool:
    return lane.start == QUEUE or any(change & 15 == QUEUE for change in lane.changes)


def _rounds(lane: Lane, since: int | None, to_ns: int) -> tuple[int | None, int | None]:
    """The longest round of one loop in ns, None if it is not known; and `since`, as above, at the interval's end."""
    known, longest = since is not None, 0
    for change in lane.changes:
        at, state = change >> STATE_BITS, change & 15
        if state == GAP:
            known, since = False, None
        elif state in IDLE_STATES:
            longest, since = max(longest, at - since if since else 0), 0
        elif since == 0:
            since = at
    longest = max(longest, to_ns - since if since else 0)
    return longest if known else None, since
