"""The control plane's side of a board: reads it whenever it likes, also after the engine has died.

Nothing is locked, so a reading can fall between two stores of a thread: each number is true, at a time of its own.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from typing import NamedTuple

from engines.common.board.board import (
    C_CLOSED,
    CONNECTION_STATES,
    CONNECTIONS,
    COUNTER_NAMES,
    COUNTER_WORDS,
    COUNTERS,
    ENDED,
    FLAG_OUT_OF_DESCRIPTORS,
    FLAG_SATURATED,
    GENERATION,
    H_FLAGS,
    H_INFO_BYTES,
    H_PARTITION_FLAGS,
    H_PARTITIONS,
    H_ROWS_USED,
    HEADER_BYTES,
    HEADER_WORDS,
    INDEX,
    INFO_AT,
    IO_CALLS,
    PARTITIONS_MAX,
    PID,
    QUEUE_HIGH_WATER,
    QUEUE_WAIT,
    ROLE,
    ROW_BYTES,
    ROW_WORDS,
    STATE,
    TID,
    EngineInfo,
    map_board,
)
from engines.common.board.trace_reader import TraceReader


class ThreadReading(NamedTuple):
    """One thread as the board shows it; counters by the names in COUNTER_NAMES, since the slot was first used."""

    slot: int
    generation: int
    pid: int
    tid: int
    role: str
    index: int  # type: ignore[assignment]  # a tuple's method of that name is not used here
    state: int
    connections: int
    counters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a whole board. `counters` are sums over all slots, those of ended threads included."""

    info: EngineInfo | None
    out_of_descriptors: bool
    saturated: bool
    accept_pauses: int
    threads: tuple[ThreadReading, ...]
    counters: dict[str, int]
    queue_wait: tuple[int, ...]
    connections: dict[str, int]

    @property
    def requests(self) -> int:
        return self.counters["requests_2xx"] + self.counters["requests_4xx"] + self.counters["requests_5xx"]

    @property
    def io_calls(self) -> int:
        return sum(self.counters[name] for name in IO_CALLS)

    @property
    def queue_depth(self) -> int:
        """Peers that wait for a worker. Not pushes less pops: threads publish those at times of their own."""
        return self.connections["queued"]


class BoardReader:
    """The control plane's side: reads whenever it likes, also after the engine has died."""

    def __init__(self, fd: int) -> None:
        self._memory, self._rows, self._words = map_board(fd, mmap.ACCESS_READ)
        self.trace = TraceReader(fd, self._memory, self._rows, self._words)

    def close(self) -> None:
        self.trace.close()
        self._memory.close()

    def read(self) -> Reading:
        """A whole reading: 35 µs for 10 threads, 2 ms for 1,000 threads and 10,000 connections."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            used, (out, full, pauses) = head[H_ROWS_USED], _flags(head)
            info = self._note(view, head[H_INFO_BYTES])
            with view[HEADER_BYTES : HEADER_BYTES + used * ROW_BYTES].cast("Q") as cells:
                flat = cells.tolist()
            connections = self._connections(view)
        rows = [flat[i * ROW_WORDS : (i + 1) * ROW_WORDS] for i in range(used)]
        roles = info.roles if info else ()
        totals = (
            [sum(column) for column in zip(*rows, strict=True)][COUNTERS:]
            if rows
            else [0] * (ROW_WORDS - COUNTERS)
        )
        totals[QUEUE_HIGH_WATER] = max((row[COUNTERS + QUEUE_HIGH_WATER] for row in rows), default=0)
        return Reading(
            info=info,
            out_of_descriptors=out,
            saturated=full,
            accept_pauses=pauses,
            threads=tuple(_thread(slot, row, roles) for slot, row in enumerate(rows) if row[STATE] != ENDED),
            counters=dict(zip(COUNTER_NAMES, totals, strict=False)),
            queue_wait=tuple(totals[QUEUE_WAIT:COUNTER_WORDS]),
            connections=connections,
        )

    def words(self) -> list[int]:
        """The descriptor words as they are: state in the low 8 bits, generation in the next 8, owner row above."""
        return list(memoryview(self.word_bytes()).cast("I"))

    def word_bytes(self) -> bytes:
        """The same as they lie in memory, little-endian, 4 bytes each: 10 µs for 15,000."""
        start = HEADER_BYTES + self._rows * ROW_BYTES
        return self._memory[start : start + self._words * 4]

    def names(self) -> list[tuple[int, str, int, int, int]]:
        """(slot, role, index, process, thread) of each row that was ever used; an ended thread's id is 0."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            info = self._note(view, head[H_INFO_BYTES])
            with view[HEADER_BYTES : HEADER_BYTES + head[H_ROWS_USED] * ROW_BYTES].cast("Q") as cells:
                columns = [cells[at::ROW_WORDS].tolist() for at in (ROLE, INDEX, PID, TID)]
        names = info.roles if info else ()
        return [
            (slot, _role(role, names), index, pid, tid)
            for slot, (role, index, pid, tid) in enumerate(zip(*columns, strict=True))
        ]

    def roles(self) -> list[str]:
        """The role of each row that was ever used, slot by slot."""
        return [role for _, role, _, _, _ in self.names()]

    def untraced_threads(self) -> tuple[int, int]:
        """(threads that have ever had a row without a ring, how many of them are there)."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            start, used = HEADER_BYTES + self.trace.rings * ROW_BYTES, head[H_ROWS_USED]
            with view[start : max(start, HEADER_BYTES + used * ROW_BYTES)].cast("Q") as cells:
                states = cells[STATE::ROW_WORDS].tolist()
                return sum(cells[GENERATION::ROW_WORDS].tolist()), len(states) - states.count(ENDED)

    def flags(self) -> tuple[bool, bool]:
        """(out of descriptors, saturated)."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            out, full, _ = _flags(head)
        return out, full

    def processes(self) -> tuple[int, ...]:
        """The processes of a divided board's rows; of a whole one, which has a single process, none: no look at all."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            if not head[H_PARTITIONS]:
                return ()
            with view[HEADER_BYTES : HEADER_BYTES + head[H_ROWS_USED] * ROW_BYTES].cast("Q") as cells:
                rows = zip(cells[STATE::ROW_WORDS].tolist(), cells[PID::ROW_WORDS].tolist(), strict=True)
                return tuple(dict.fromkeys(pid for state, pid in rows if state != ENDED and pid))

    def states(self) -> list[int]:
        """Only the threads' states, slot by slot (0: no thread): cheap enough for 100 readings a second."""
        with memoryview(self._memory) as view, view[:HEADER_BYTES].cast("Q") as head:
            used = head[H_ROWS_USED]
            with view[HEADER_BYTES : HEADER_BYTES + used * ROW_BYTES].cast("Q") as cells:
                return cells[STATE::ROW_WORDS].tolist()

    def _note(self, view: memoryview, length: int) -> EngineInfo | None:
        if not length:
            return None
        said = json.loads(bytes(view[INFO_AT : INFO_AT + length]))
        return EngineInfo(said["model"], said["python"], said["gil"], tuple(said["roles"]))

    def _connections(self, view: memoryview) -> dict[str, int]:
        start = HEADER_BYTES + self._rows * ROW_BYTES
        states = bytes(view[start : start + self._words * 4 : 4])  # little-endian: the low byte is the state
        return {
            name: states.count(state) for state, name in enumerate(CONNECTION_STATES) if state != C_CLOSED
        }


def _flags(head: memoryview) -> tuple[bool, bool, int]:
    """(out of descriptors, saturated, accept pauses): full is a divided engine when each of its processes is."""
    at = (
        H_FLAGS,
        *range(H_PARTITION_FLAGS, H_PARTITION_FLAGS + 2 * min(head[H_PARTITIONS], PARTITIONS_MAX), 2),
    )
    flags = [head[i] for i in at]
    full = all(each & FLAG_SATURATED for each in flags[1:] or flags)
    return any(each & FLAG_OUT_OF_DESCRIPTORS for each in flags), full, sum(head[i + 1] for i in at)


def _thread(slot: int, row: list[int], roles: tuple[str, ...]) -> ThreadReading:
    counters = tuple(row[COUNTERS : COUNTERS + len(COUNTER_NAMES)])
    return ThreadReading(
        slot,
        row[GENERATION],
        row[PID],
        row[TID],
        _role(row[ROLE], roles),
        row[INDEX],
        row[STATE],
        row[CONNECTIONS],
        counters,
    )


def _role(number: int, roles: tuple[str, ...]) -> str:
    return roles[number] if number < len(roles) else "thread"
