"""The thread trace: each change of a thread's state with its time, while the control plane wants it.

    entry        64 bits: CLOCK_MONOTONIC in ns << 4 | state
    NEW_THREAD   64 bits: the row's generation << 4 | 15, before the first entry of a thread or traced period

A thread marks states on `row.mark`. That is the row of the board (33 ns), or a Tracer, which also writes the
time to the row's ring (0.3 µs). The thread checks after each wait which of them is wanted (25 ns), so tracing
that is off costs next to nothing.

Each ring has one writer and no lock: an entry is stored before the count that includes it. The oldest entries
are overwritten; a late reader sees by the count how many it has missed.
"""

from __future__ import annotations

from time import monotonic_ns

RINGS_MAX = 64  # the first rows have a ring; threads beyond them are only sampled
ENTRIES = 1 << 15  # 0.2 s at 150,000 changes/s, more than any thread here reaches
MASK = ENTRIES - 1
RING_BYTES = ENTRIES * 8
TRACE_COUNT = 7  # the row's word that counts its entries
STATE_BITS = 4
NEW_THREAD = 15  # in place of a state: another thread begins


class Tracer:
    """Replaces a row's cells where states are marked: `mark[STATE] = READING`. Its row's thread only."""

    __slots__ = ("_at", "_cells", "_ring", "_state")

    def __init__(self, cells: memoryview, ring: memoryview, generation: int, state: int) -> None:
        self._cells = cells
        self._ring = ring
        self._at = cells[TRACE_COUNT]
        self._state = state
        self._leave(generation << STATE_BITS | NEW_THREAD)
        self._leave(monotonic_ns() << 4 | state)

    def __setitem__(self, index: int, state: int) -> None:
        if state != self._state:  # marking the same state again is no change
            self._state = self._cells[index] = state
            at = self._at
            self._ring[at & MASK] = monotonic_ns() << 4 | state
            self._at = self._cells[TRACE_COUNT] = at + 1

    def _leave(self, entry: int) -> None:
        self._ring[self._at & MASK] = entry
        self._at = self._cells[TRACE_COUNT] = self._at + 1
