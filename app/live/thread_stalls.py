"""How long each thread waited for the GIL or a lock in the last second, from its trace and its schedstat.

    stalled = time with work by the trace - CPU time - run-queue wait

As in app/results/stalled.py, without work means idle or blocked. schedstat is read some milliseconds before
the trace, so shares of the time between two readings are subtracted, not times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.fleet.board import ThreadState
from app.machine.proc import SchedStat
from app.machine.thread_stats import ThreadRates
from app.trace.recording import STATE_MASK
from engines.common.board.board import BLOCKED, IDLE_STATES
from engines.common.board.trace_reader import GAP, STATE_BITS, UNKNOWN, Lane, Trace

WINDOW_NS = 1_000_000_000
RESTING = IDLE_STATES | {BLOCKED}
Key = tuple[int, int]  # slot and generation of a thread


@dataclass(frozen=True, slots=True)
class _Interval:
    """One interval of the trace: time with work by thread (None: unknown), and the totals at its end."""

    to_ns: int
    working_ns: dict[Key, int | None]
    schedstats: dict[int, SchedStat]  # by thread id


class ThreadStalls:
    """The intervals of the last second of one engine, and the one before them. Event loop only."""

    def __init__(self) -> None:
        self._intervals: deque[_Interval] = deque()

    def update(self, trace: Trace, rates: Mapping[int, ThreadRates]) -> None:
        """Add an interval of the trace. rates: the newest readings by thread id. Costs 0.2 µs per change."""
        intervals = self._intervals
        if intervals and intervals[-1].to_ns != trace.from_ns:
            intervals.clear()  # there is no trace of the time between
        working = {(lane.slot, lane.generation): _working_ns(lane, trace) for lane in trace.lanes}
        schedstats = {tid: each.schedstat for tid, each in rates.items()}
        intervals.append(_Interval(trace.to_ns, working, schedstats))
        while len(intervals) > 1 and trace.to_ns - intervals[1].to_ns >= WINDOW_NS:
            intervals.popleft()

    def percent(self, threads: Sequence[ThreadState]) -> dict[Key, float]:
        """Return the share of the last second by thread, in percent; without those that are not known."""
        intervals = self._intervals
        if not intervals or intervals[-1].to_ns - intervals[0].to_ns < WINDOW_NS:
            return {}
        found = {}
        for thread in threads:
            key = thread.slot, thread.generation
            if (share := self._share(key, thread.tid)) is not None:
                found[key] = 100 * max(0.0, share)
        return found

    def _share(self, key: Key, tid: int) -> float | None:
        first, *others = self._intervals
        last = others[-1]
        working = [each.working_ns.get(key) for each in others]
        begin, end = first.schedstats.get(tid), last.schedstats.get(tid)
        if None in working or begin is None or end is None or end.at_ns <= begin.at_ns or not end.cpu_ns:
            return None
        used_ns = end.cpu_ns - begin.cpu_ns + end.run_queue_ns - begin.run_queue_ns
        working_share = sum(each or 0 for each in working) / (last.to_ns - first.to_ns)
        return working_share - used_ns / (end.at_ns - begin.at_ns)


def _working_ns(lane: Lane, trace: Trace) -> int | None:
    """Return how long the thread had work in the interval; None if a part of it is unknown."""
    if lane.start == UNKNOWN:
        return None
    state, at_ns, working_ns = lane.start, trace.from_ns, 0
    for change in lane.changes:
        until_ns = change >> STATE_BITS
        if until_ns > at_ns:  # else the change was published late
            if state not in RESTING:
                working_ns += until_ns - at_ns
            at_ns = until_ns
        state = change & STATE_MASK
        if state == GAP:
            return None
    return working_ns if state in RESTING else working_ns + max(0, trace.to_ns - at_ns)
