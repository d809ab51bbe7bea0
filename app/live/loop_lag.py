"""Event-loop lag: the longest iteration of an engine's event loops, from one wait to the next.

A request that arrives at the beginning of an iteration waits for its end.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.trace.recording import STATE_MASK
from engines.common.board.board import ENDED, IDLE_STATES, QUEUE
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

NOT_BUSY = 0


class LoopLag:
    """The loop lag of one engine from interval to interval. Event loop only."""

    def __init__(self) -> None:
        # By slot and generation: when the iteration began that was in progress at the end of the last
        # interval. NOT_BUSY: there was none. None: unknown.
        self._busy_since_ns: dict[tuple[int, int], int | None] = {}
        self._to_ns = 0
        self._worker_roles: set[str] = set()  # roles that wait in a queue, so they are not event loops

    def longest_us(self, trace: Trace, loop_roles: Mapping[int, str]) -> float | None:
        """Return the longest iteration that ended in this interval, or is in progress, in µs.

        loop_roles: by slot, the roles of threads that may be event loops.
        Returns None if no thread is an event loop, or if the value is unknown for one of them.
        """
        if trace.from_ns != self._to_ns:
            self._busy_since_ns = {}  # there is no trace of the time between
        self._to_ns = trace.to_ns
        lanes = [lane for lane in trace.lanes if lane.slot in loop_roles and lane.end != ENDED]
        self._worker_roles |= {loop_roles[lane.slot] for lane in lanes if _waits_in_queue(lane)}
        lanes = [lane for lane in lanes if loop_roles[lane.slot] not in self._worker_roles]
        results = [_longest_iteration(lane, self._busy_since(lane), trace.to_ns) for lane in lanes]
        self._busy_since_ns = {
            (lane.slot, lane.generation): since_ns for lane, (_, since_ns) in zip(lanes, results, strict=True)
        }
        traced = {lane.slot for lane in trace.lanes}
        if any(slot not in traced and role not in self._worker_roles for slot, role in loop_roles.items()):
            return None  # a loop has no trace ring
        known = [longest_ns for longest_ns, _ in results if longest_ns is not None]
        return max(known) / 1000 if known and len(known) == len(results) else None

    def _busy_since(self, lane: Lane) -> int | None:
        """Return when the iteration at the start of the interval began; NOT_BUSY, or None if unknown."""
        if lane.start in IDLE_STATES:
            return NOT_BUSY
        return None if lane.start == UNKNOWN else self._busy_since_ns.get((lane.slot, lane.generation))


def _waits_in_queue(lane: Lane) -> bool:
    return lane.start == QUEUE or any(change & STATE_MASK == QUEUE for change in lane.changes)


def _longest_iteration(lane: Lane, since_ns: int | None, to_ns: int) -> tuple[int | None, int | None]:
    """Return the longest iteration of a loop in ns, None if unknown; and `since_ns` at the interval's end."""
    is_known, longest_ns = since_ns is not None, 0
    for change in lane.changes:
        at_ns, state = change >> STATE_BITS, change & STATE_MASK
        if state == GAP:
            is_known, since_ns = False, None
        elif state in IDLE_STATES:
            longest_ns, since_ns = max(longest_ns, at_ns - since_ns if since_ns else 0), NOT_BUSY
        elif since_ns == NOT_BUSY:
            since_ns = at_ns
    longest_ns = max(longest_ns, to_ns - since_ns if since_ns else 0)
    return longest_ns if is_known else None, since_ns
