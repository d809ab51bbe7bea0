"""Trace mode: each change of a thread's state with its time, for as long as somebody wants to see it.

    entry   64 bits: CLOCK_MONOTONIC in ns << 4 | state
    LIFE    64 bits: the row's generation << 4 | 15, before the first entry of a thread, or of a traced stretch of it

A thread marks its states on `row.mark`. That is the bare row of the board (33 ns a mark), or a Tracer, which leaves
the time in the row's ring as well (0.3 µs). The thread looks once after each wait which of the two is wanted (25 ns),
so nothing is switched on behind its back, and off costs next to nothing.

One writer per ring, no lock: the entry is stored before the count of entries that says it is there. The oldest are
overwritten; a reader that comes too late sees by that count how many it has missed.
"""

from __future__ import annotations

from time import monotonic_ns

RINGS_MAX = 64  # the first so many rows have a ring; threads beyond them are only sampled
ENTRIES = 1 << 15  # 0.2 s at 150,000 changes a second, which no thread here has reached
MASK = ENTRIES - 1
RING_BYTES = ENTRIES * 8
TRACE_COUNT = 7  # the row's word that counts the entries ever written
STATE_BITS = 4
NEW_THREAD = 15  # where a state is: not one, but the beginning of a thread


class Tracer:
    """Stands in for a row's cells where states are marked: `mark[STATE] = READING`. Its row's thread only."""

    __slots__ = ("_at", "_cells", "_ring", "_state")

    def __init__(self, cells: memoryview, ring: memoryview, generation: int, state: int) -> None:
        self._cells = cells
        self._ring = ring
        self._at = cells[TRACE_COUNT]
        self._state = state
        self._leave(generation << STATE_BITS | NEW_THREAD)
        self._leave(monotonic_ns() << 4 | state)

    def __setitem__(self, index: int, state: int) -> None:
        if state != self._state:  # said twice, it is still one state
            self._state = self._cells[index] = state
            at = self._at
            self._ring[at & MASK] = monotonic_ns() << 4 | state
            self._at = self._cells[TRACE_COUNT] = at + 1

    def _leave(self, entry: int) -> None:
        self._ring[self._at & MASK] = entry
        self._at = self._cells[TRACE_COUNT] = self._at + 1
