"""The control plane's side of a trace: switches it on and off, and reads the rings.

Every change that is returned happened, at that time. What is not known is UNKNOWN: the state of a thread that
was busy when the trace began, until its next wait; and everything before the oldest entry, when entries were
overwritten before they were read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from engines.common.board.board import (
    ENDED,
    GENERATION,
    H_ROWS_USED,
    H_TRACE,
    HEADER_BYTES,
    HEADER_WORDS,
    QUEUE,
    ROW_BYTES,
    ROW_WORDS,
    STATE,
    WAITING,
    trace_offset,
)
from engines.common.board.trace import (
    ENTRIES,
    MASK,
    NEW_THREAD,
    RING_BYTES,
    RINGS_MAX,
    STATE_BITS,
    TRACE_COUNT,
)

__all__ = ["GAP", "STATE_BITS", "UNKNOWN", "Lane", "Trace", "TraceReader"]

UNKNOWN = -1  # in place of a state, where it is not known
GAP = 14  # the same in a list of changes
# A thread that has just begun to trace may still show its earlier state; after this time it cannot.
SETTLED_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Lane:
    """One thread in one interval. `start`: its first state (ENDED: not yet started), or UNKNOWN."""

    slot: int
    generation: int
    start: int
    lost: int  # entries overwritten before they were read; the state is UNKNOWN until the first change
    changes: list[int]  # CLOCK_MONOTONIC in ns << 4 | the new state

    @property
    def end(self) -> int:
        """Return the state at the end of the interval."""
        return self.changes[-1] & 15 if self.changes else self.start


@dataclass(frozen=True, slots=True)
class Trace:
    """All changes of one interval. Threads without a ring have no lane."""

    from_ns: int
    to_ns: int
    lanes: tuple[Lane, ...]


@dataclass(slots=True)
class _Place:
    """How far a ring has been read, and the state there."""

    at: int
    generation: int
    state: int


class TraceReader:
    """Reads the rings of one board, each entry once: `begin`, then `read` repeatedly, then `end`."""

    def __init__(self, fd: int, memory: mmap.mmap, rows: int, words: int) -> None:
        self._memory = memory
        self._switch = mmap.mmap(fd, HEADER_BYTES)
        self.rings = min(rows, RINGS_MAX)
        self._trace_offset = trace_offset(rows, words)
        self._places: dict[int, _Place] = {}
        self._since_ns = self._from_ns = 0
        self.on = False

    def begin(self, now_ns: int) -> None:
        """Ask the engine's threads to trace, each from its next wake-up on."""
        self._want(True)
        self._since_ns = self._from_ns = now_ns
        self._places = {
            slot: _Place(head, generation, ENDED if state == ENDED else UNKNOWN)
            for slot, generation, state, head in self._rows()
        }

    def end(self) -> None:
        """Ask the engine's threads to stop tracing."""
        self._want(False)

    def close(self) -> None:
        """Unmap the header."""
        self._switch.close()

    def read(self, to_ns: int) -> Trace:
        """Return the changes since the last call up to `to_ns`, monotonic. Costs 30 ns per entry."""
        from_ns, self._from_ns = self._from_ns, to_ns
        lanes = [lane for row in self._rows() for lane in self._lanes(*row, to_ns)]
        return Trace(from_ns, to_ns, tuple(lanes))

    def written(self) -> int:
        """Return how many entries the board's threads have ever written."""
        return sum(head for *_, head in self._rows())

    def _want(self, on: bool) -> None:
        self.on = on
        with memoryview(self._switch) as view, view.cast("Q") as head:
            head[H_TRACE] = on

    def _rows(self) -> list[tuple[int, int, int, int]]:
        """Return (slot, generation, state, number of entries) of each used row that has a ring."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            used = min(head[H_ROWS_USED], self.rings)
            with view[HEADER_BYTES : HEADER_BYTES + used * ROW_BYTES].cast("Q") as cells:
                columns = (cells[at::ROW_WORDS].tolist() for at in (GENERATION, STATE, TRACE_COUNT))
                return list(zip(range(used), *columns, strict=True))

    def _lanes(self, slot: int, generation: int, state: int, head: int, to_ns: int) -> Iterator[Lane]:
        place = self._places.get(slot)
        if place is None:  # first use of the row
            place = self._places[slot] = _Place(0, generation, ENDED if head else UNKNOWN)
        entries, lost = self._copy(slot, place.at, head) if head != place.at else ([], 0)
        while entries and (entries[-1] & 15 == NEW_THREAD or entries[-1] >> 4 > to_ns):
            entries.pop()
        place.at += lost + len(entries)
        if lost:
            place.state = UNKNOWN
            follower = next((entry >> 4 for entry in entries if entry & 15 == NEW_THREAD), generation + 1)
            place.generation = max(place.generation, follower - 1)
        if not entries:
            entries = _seen(place, state, to_ns, to_ns - self._since_ns > SETTLED_NS)
        for lane in _split(slot, place, lost, entries):
            place.generation, place.state = lane.generation, lane.end
            yield lane

    def _copy(self, slot: int, at: int, head: int) -> tuple[list[int], int]:
        """Return the entries from number `at` to `head`, and how many of them were overwritten."""
        first = max(at, head - ENTRIES)
        start = self._trace_offset + slot * RING_BYTES
        with memoryview(self._memory) as view, view[start : start + RING_BYTES].cast("Q") as ring:
            low, high = first & MASK, head & MASK
            entries = ring[low:high].tolist() if low < high else ring[low:].tolist() + ring[:high].tolist()
        whole = max(first, self._head(slot) - MASK)  # the oldest may be half overwritten
        return entries[whole - first :], whole - at

    def _head(self, slot: int) -> int:
        at = HEADER_BYTES + slot * ROW_BYTES + TRACE_COUNT * 8
        return int.from_bytes(self._memory[at : at + 8], "little")


def _seen(place: _Place, state: int, to_ns: int, settled: bool) -> list[int]:
    """Return what the row's state alone proves, where there are no entries.

    A thread that waits writes an entry for its next change, so its state holds until `to_ns`.
    """
    ended = state == ENDED and place.state != ENDED
    waits = place.state == UNKNOWN and state in (WAITING, QUEUE) and settled
    return [to_ns << 4 | state] if ended or waits else []


def _split(slot: int, place: _Place, lost: int, entries: list[int]) -> Iterator[Lane]:
    """Yield a lane for each thread that had the row."""
    generation, start = place.generation, place.state
    changes: list[int] = []
    begin = 0
    for at in (i for i, entry in enumerate(entries) if entry & 15 == NEW_THREAD):
        changes += entries[begin:at]
        begin, following = at + 1, entries[at] >> 4
        if following != generation:  # else the same thread begins to trace again
            if changes or start != ENDED or lost:
                yield Lane(slot, generation, start, lost, changes)
            generation, start, lost, changes = following, ENDED, 0, []
    changes += entries[begin:]
    if changes or start != ENDED or lost:
        yield Lane(slot, generation, start, lost, changes)
