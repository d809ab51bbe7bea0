"""The control plane's side of a board. It can be read at any time, also after the engine has died.

Nothing is locked, so a thread may write during a reading: each number is correct, but the numbers are not of
exactly one time.
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
    IDLE_STATES,
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
    """One thread; `counters` by COUNTER_NAMES are sums since the row was first used."""

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
    """One reading of a whole board. `counters` are sums over all rows, those of ended threads included."""

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
        """Return the number of responses, of all status classes."""
        return self.counters["requests_2xx"] + self.errors

    @property
    def errors(self) -> int:
        """Return the number of responses with a status of 400 or more."""
        return self.counters["requests_4xx"] + self.counters["requests_5xx"]

    @property
    def io_calls(self) -> int:
        """Return the number of I/O system calls."""
        return sum(self.counters[name] for name in IO_CALLS)

    @property
    def queue_depth(self) -> int:
        """Return how many connections wait for a worker. Pushes less pops would mix two times."""
        return self.connections["queued"]

    @property
    def connections_total(self) -> int:
        """Return how many connections are open."""
        return sum(self.connections.values())


class BoardReader:
    """Reads one board."""

    def __init__(self, fd: int) -> None:
        self._memory, self._rows, self._words = map_board(fd, mmap.ACCESS_READ)
        self.trace = TraceReader(fd, self._memory, self._rows, self._words)

    def close(self) -> None:
        """Unmap the board."""
        self.trace.close()
        self._memory.close()

    def read(self) -> Reading:
        """Return a whole reading: 35 µs for 10 threads, 2 ms for 1,000 threads and 10,000 connections."""
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
        """Return the descriptor words: state in the low 8 bits, then 8 bits generation, then owner row."""
        return list(memoryview(self.word_bytes()).cast("I"))

    def word_bytes(self) -> bytes:
        """Return the same as bytes, little-endian, 4 for each word: 10 µs for 15,000."""
        start = HEADER_BYTES + self._rows * ROW_BYTES
        return self._memory[start : start + self._words * 4]

    def names(self) -> list[tuple[int, str, int, int, int]]:
        """Return (slot, role, index, process, thread) of each used row; an ended thread's id is 0."""
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
        """Return the role of each used row, by slot."""
        return [role for _, role, _, _, _ in self.names()]

    def is_idle(self) -> bool:
        """Return whether all threads wait, so that all of them have stored their counters."""
        return all(state in IDLE_STATES for state in self.states())

    def untraced_threads(self) -> tuple[int, int]:
        """Return how many threads have ever had a row without a ring, and how many have one now."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            start, used = HEADER_BYTES + self.trace.rings * ROW_BYTES, head[H_ROWS_USED]
            with view[start : max(start, HEADER_BYTES + used * ROW_BYTES)].cast("Q") as cells:
                states = cells[STATE::ROW_WORDS].tolist()
                return sum(cells[GENERATION::ROW_WORDS].tolist()), len(states) - states.count(ENDED)

    def flags(self) -> tuple[bool, bool]:
        """Return (out of descriptors, saturated)."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            out, full, _ = _flags(head)
        return out, full

    def processes(self) -> tuple[int, ...]:
        """Return the processes of a divided board's rows; () for a board of one process."""
        with memoryview(self._memory) as view, view[: 8 * HEADER_WORDS].cast("Q") as head:
            if not head[H_PARTITIONS]:
                return ()
            with view[HEADER_BYTES : HEADER_BYTES + head[H_ROWS_USED] * ROW_BYTES].cast("Q") as cells:
                rows = zip(cells[STATE::ROW_WORDS].tolist(), cells[PID::ROW_WORDS].tolist(), strict=True)
                return tuple(dict.fromkeys(pid for state, pid in rows if state != ENDED and pid))

    def states(self) -> list[int]:
        """Return the threads' states by slot (0: no thread). Cheap enough for 100 calls per second."""
        with memoryview(self._memory) as view, view[:HEADER_BYTES].cast("Q") as head:
            used = head[H_ROWS_USED]
            with view[HEADER_BYTES : HEADER_BYTES + used * ROW_BYTES].cast("Q") as cells:
                return cells[STATE::ROW_WORDS].tolist()

    def _note(self, view: memoryview, length: int) -> EngineInfo | None:
        if not length:
            return None
        info = json.loads(bytes(view[INFO_AT : INFO_AT + length]))
        return EngineInfo(info["model"], info["python"], info["gil"], tuple(info["roles"]))

    def _connections(self, view: memoryview) -> dict[str, int]:
        start = HEADER_BYTES + self._rows * ROW_BYTES
        states = bytes(view[start : start + self._words * 4 : 4])  # little-endian: the low byte is the state
        return {
            name: states.count(state) for state, name in enumerate(CONNECTION_STATES) if state != C_CLOSED
        }


def _flags(head: memoryview) -> tuple[bool, bool, int]:
    """Return (out of descriptors, saturated, accept pauses); saturated if all processes of the engine are."""
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
