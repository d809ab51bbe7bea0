"""The engine's side of the board: claims a row for each thread and provides the descriptor words."""

from __future__ import annotations

import json
import os
import threading
from array import array
from copy import copy
from heapq import heappop, heappush

from engines.common.board.board import (
    ACCEPTED,
    CLOSED,
    CONNECTIONS,
    ENDED,
    FLAG_OUT_OF_DESCRIPTORS,
    FLAG_SATURATED,
    GENERATION,
    H_FLAGS,
    H_INFO_BYTES,
    H_PARTITION_FLAGS,
    H_PARTITIONS,
    H_PID,
    H_ROWS_USED,
    H_TRACE,
    HEADER_BYTES,
    HEADER_WORDS,
    INDEX,
    INFO_AT,
    INVOLUNTARY,
    PARTITIONS_MAX,
    PID,
    ROLE,
    ROW_BYTES,
    ROW_WORDS,
    STATE,
    TID,
    VOLUNTARY,
    WAITING,
    EngineInfo,
    map_board,
    trace_offset,
)
from engines.common.board.row import BoardRow
from engines.common.board.trace import RING_BYTES, RINGS_MAX


class Board:
    """A board as its engine writes it. `words` are the descriptor words of this process."""

    def __init__(self, fd: int, info: EngineInfo) -> None:
        self._memory, rows, words = map_board(fd)
        view = memoryview(self._memory)
        cells = view[HEADER_BYTES : HEADER_BYTES + rows * ROW_BYTES].cast("Q")
        self._rows = [cells[i * ROW_WORDS : (i + 1) * ROW_WORDS] for i in range(rows)]
        self._head = view[: 8 * HEADER_WORDS].cast("Q")
        self._flags = self._head[H_FLAGS : H_FLAGS + 2]
        start = HEADER_BYTES + rows * ROW_BYTES
        self.words = view[start : start + words * 4].cast("I")
        start = trace_offset(rows, words)
        rings = view[start : start + min(rows, RINGS_MAX) * RING_BYTES]
        self._rings = [
            rings[i * RING_BYTES : (i + 1) * RING_BYTES].cast("Q") for i in range(min(rows, RINGS_MAX))
        ]
        self._trace_wanted = self._head[H_TRACE : H_TRACE + 1]
        self._free: list[
            int
        ] = []  # a heap: the lowest free row first, because only low rows have a trace ring
        self._claiming = threading.Lock()
        self._roles = info.roles
        self._announce(view, info)

    def _announce(self, view: memoryview, info: EngineInfo) -> None:
        text = json.dumps(
            {"model": info.model, "python": info.python, "gil": info.gil, "roles": info.roles}
        ).encode()
        view[INFO_AT : INFO_AT + len(text)] = text
        self._head[H_INFO_BYTES] = len(text)
        self._head[H_PID] = os.getpid()

    def claim(self, role: str, index: int = 0) -> BoardRow:
        """Return a row for a new thread. Thread-safe. Raises IndexError if the board has no free row."""
        with self._claiming:
            slot = heappop(self._free) if self._free else self._head[H_ROWS_USED]
            cells = self._rows[slot]
            self._head[H_ROWS_USED] = max(self._head[H_ROWS_USED], slot + 1)
        cells[GENERATION] += 1
        cells[PID], cells[TID], cells[CONNECTIONS] = 0, 0, 0
        cells[ROLE], cells[INDEX], cells[STATE] = self._roles.index(role), index, WAITING
        return self._row(slot)

    def _row(self, slot: int) -> BoardRow:
        return BoardRow(
            slot, self._rows[slot], self._rings[slot] if slot < RINGS_MAX else None, self._trace_wanted
        )

    def partition(self, index: int, of: int) -> Board:
        """Return the board of one of `of` processes: the same rows, its own flags and descriptor words."""
        if of > PARTITIONS_MAX:
            raise ValueError(f"a board has at most {PARTITIONS_MAX} parts")
        part, size, at = copy(self), len(self.words) // of, H_PARTITION_FLAGS + 2 * index
        part._flags = self._head[at : at + 2]
        part.words = self.words[index * size : (index + 1) * size]
        self._head[H_PARTITIONS] = of
        return part

    def attach(self, row: BoardRow) -> None:
        """Write the calling thread's process and thread id to its row, so that /proc can be read for it."""
        row.cells[PID], row.cells[TID] = os.getpid(), threading.get_native_id()

    def release(self, row: BoardRow, voluntary: int, involuntary: int) -> None:
        """Write the thread's context switches, mark it ended and free its row. Last call of the thread."""
        row.counters[VOLUNTARY] += voluntary
        row.counters[INVOLUNTARY] += involuntary
        row.publish()
        row.cells[CONNECTIONS] = 0
        row.mark[STATE], row.cells[TID] = ENDED, 0
        with self._claiming:
            heappush(self._free, row.slot)

    def reap(self, row: BoardRow, voluntary: int, involuntary: int) -> None:
        """Release the row of a process that died; `self` is that process's partition.

        What it had published stays counted; its connections count as closed, because the kernel closed them.
        """
        left = self._row(row.slot)
        left.counters[CLOSED] = left.counters[ACCEPTED]
        self.release(left, voluntary, involuntary)
        self.words[:] = array("I", bytes(4 * len(self.words)))
        self.set_flag(FLAG_OUT_OF_DESCRIPTORS | FLAG_SATURATED, False)

    def set_flag(self, flag: int, on: bool) -> None:
        """Set or clear a flag in the header. The acceptor's thread only."""
        if on and not self._flags[0] & flag:
            self._flags[1] += 1
        self._flags[0] = self._flags[0] | flag if on else self._flags[0] & ~flag
