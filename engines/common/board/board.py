"""The board: one page of shared memory in which an engine's threads leave their state and counters.

    header   4 KiB: version, pid, sizes, flags, and a JSON note (model, Python, roles)
    rows     512 bytes a thread: generation, thread id, role, state, counters, queue-wait histogram
    words    32 bits a descriptor: state, generation, owner row
    rings    256 KiB for each of the first 64 threads: what a trace leaves (see trace.py), untouched without one

One writer per row, no locks, and nothing runs in the engine only to be observed: an engine that hangs,
spins or dies still shows its last truth. A state mark is one store of 8 bytes (33 ns); counters are kept in
an array of the thread's own and copied once per wake-up. They are never reset when a slot is used again.

An engine of several processes divides its board: each has a `part` with flags and descriptor words of its own,
because a descriptor's number means something in its own process only. Its master claims every row.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
from array import array
from copy import copy
from dataclasses import dataclass
from heapq import heappop, heappush

from engines.common.board.trace import RING_BYTES, RINGS_MAX, TRACE_COUNT, Tracer

VERSION = 2
MAGIC = 0x7468_7264_6C61_6231  # "thrdlab1"
HEADER_BYTES = 4096
INFO_AT = 512
ROW_WORDS = 64
ROW_BYTES = ROW_WORDS * 8

# Header words.
(
    H_MAGIC,
    H_VERSION,
    H_ROWS,
    H_WORDS,
    H_PID,
    H_FLAGS,
    H_PAUSES,
    H_ROWS_USED,
    H_INFO_BYTES,
    H_PARTITIONS,
    H_TRACE,
) = range(11)
H_PARTITION_FLAGS = 16  # two words (flags, pauses) for each part, up to the note
HEADER_WORDS = INFO_AT // 8
PARTITIONS_MAX = (HEADER_WORDS - H_PARTITION_FLAGS) // 2
FLAG_OUT_OF_DESCRIPTORS, FLAG_SATURATED = 1, 2

# Row words. Everything from COUNTERS on only ever grows.
GENERATION, TID, ROLE, INDEX, STATE, CONNECTIONS, PID = range(TRACE_COUNT)
COUNTERS = TRACE_COUNT + 1
COUNTER_NAMES = (
    "accepted",
    "closed",
    "requests_2xx",
    "requests_4xx",
    "requests_5xx",
    "bytes_in",
    "bytes_out",
    "accept_calls",
    "recv_calls",
    "send_calls",
    "wait_calls",
    "other_calls",
    "would_blocks",
    "wakeups",
    "queue_pushes",
    "queue_pops",
    "queue_wait_us",
    "queue_high_water",
    "voluntary_switches",
    "involuntary_switches",
    "timeouts",
)
(
    ACCEPTED,
    CLOSED,
    REQUESTS_2XX,
    REQUESTS_4XX,
    REQUESTS_5XX,
    BYTES_IN,
    BYTES_OUT,
    ACCEPT_CALLS,
    RECV_CALLS,
    SEND_CALLS,
    WAIT_CALLS,
    OTHER_CALLS,
    WOULD_BLOCKS,
    WAKEUPS,
    QUEUE_PUSHES,
    QUEUE_POPS,
    QUEUE_WAIT_US,
    QUEUE_HIGH_WATER,
    VOLUNTARY,
    INVOLUNTARY,
    TIMEOUTS,
) = range(len(COUNTER_NAMES))
QUEUE_WAIT_BUCKETS = 24  # bucket i counts waits of [2^(i-1), 2^i) µs
QUEUE_WAIT = len(COUNTER_NAMES)
COUNTER_WORDS = QUEUE_WAIT + QUEUE_WAIT_BUCKETS
# Where the counters of a plain request are in a row: an addition saved for each, at each publishing.
_AT_REQUESTS_2XX, _AT_BYTES_IN, _AT_BYTES_OUT = (
    COUNTERS + REQUESTS_2XX,
    COUNTERS + BYTES_IN,
    COUNTERS + BYTES_OUT,
)
_AT_RECV_CALLS, _AT_SEND_CALLS, _AT_WAKEUPS = COUNTERS + RECV_CALLS, COUNTERS + SEND_CALLS, COUNTERS + WAKEUPS
IO_CALLS = ("accept_calls", "recv_calls", "send_calls", "wait_calls", "other_calls")

THREAD_STATES = ("ended", "waiting", "accepting", "reading", "handling", "writing", "queue", "blocked")
ENDED, WAITING, ACCEPTING, READING, HANDLING, WRITING, QUEUE, BLOCKED = range(len(THREAD_STATES))
# A thread in one of these has nothing to do; in any other it is occupied (not the same as: on a CPU).
IDLE_STATES = frozenset({ENDED, WAITING, QUEUE})

CONNECTION_STATES = ("closed", "idle", "reading", "queued", "handling", "writing")
C_CLOSED, C_IDLE, C_READING, C_QUEUED, C_HANDLING, C_WRITING = range(len(CONNECTION_STATES))


def trace_offset(rows: int, words: int) -> int:
    """Where the rings begin: on a page of their own, so that without a trace they cost none."""
    return -(-(HEADER_BYTES + rows * ROW_BYTES + words * 4) // mmap.PAGESIZE) * mmap.PAGESIZE


def board_size(rows: int, words: int) -> int:
    """How large a board with so many thread rows and descriptor words is."""
    return trace_offset(rows, words) + min(rows, RINGS_MAX) * RING_BYTES


def make_board(rows: int, words: int) -> int:
    """Create an empty board as an anonymous file; answers its descriptor, to be inherited by the engine."""
    fd = os.memfd_create("threadlab-board", 0)
    try:
        os.ftruncate(fd, board_size(rows, words))
        with mmap.mmap(fd, HEADER_BYTES) as page, memoryview(page).cast("Q") as head:
            head[H_VERSION], head[H_ROWS], head[H_WORDS], head[H_MAGIC] = VERSION, rows, words, MAGIC
    except OSError:
        os.close(fd)
        raise
    return fd


class BadBoard(ValueError):
    """The descriptor is not a board, or one of another version."""


def map_board(fd: int, access: int = mmap.ACCESS_WRITE) -> tuple[mmap.mmap, int, int]:
    """Map a board; answers the mapping, its thread rows and its descriptor words."""
    size = os.fstat(fd).st_size
    if size < HEADER_BYTES:
        raise BadBoard(f"{size} bytes are too few for a board")
    memory = mmap.mmap(fd, size, access=access)
    with memoryview(memory)[: 8 * 10] as raw, raw.cast("Q") as head:
        magic, version, rows, words = head[H_MAGIC], head[H_VERSION], head[H_ROWS], head[H_WORDS]
    if magic != MAGIC or version != VERSION or size < board_size(rows, words):
        memory.close()
        raise BadBoard(f"not a board of version {VERSION}")
    return memory, rows, words


NO_TRACE = memoryview(bytes(8)).cast("Q")  # for rows without a ring: no trace is ever wanted of them


class BoardRow:
    """One thread's line on the board. Only that thread writes it.

    `cells` is the shared memory itself, `mark` is where states are marked: `row.mark[STATE] = READING` (33 ns). After
    each wait `look()` whether a trace is wanted, and take `mark` anew.
    What a plain request counts are attributes (`row.recv_calls += 1`, 20 ns); the rest is counted in the thread's
    own array (`row.tally[ACCEPTED] += 1`, 90 ns). `publish()` once per wake-up.
    """

    __slots__ = (
        "_ring",
        "bytes_in",
        "bytes_out",
        "cells",
        "counters",
        "mark",
        "publish_at_ns",
        "queue_pops",
        "queue_pushes",
        "queue_wait_us",
        "recv_calls",
        "requests_2xx",
        "send_calls",
        "slot",
        "tag",
        "trace_wanted",
        "tracing",
        "wakes_per_recv",
    )

    def __init__(
        self, slot: int, cells: memoryview, ring: memoryview | None, trace_wanted: memoryview
    ) -> None:
        self.slot = slot
        self.cells = cells
        self.mark: memoryview | Tracer = cells
        self.trace_wanted = trace_wanted if ring else NO_TRACE
        self.tracing = 0
        self.wakes_per_recv = (
            False  # of a thread that wakes up for each receive: it counts no wake-ups of their own
        )
        self._ring = ring
        self.tag = slot << 16  # the owner's part of a connection word
        self.publish_at_ns = 0  # for a worker: when it publishes again, although it is not about to wait
        self.counters = array("Q", cells[COUNTERS : COUNTERS + COUNTER_WORDS])
        self.requests_2xx = self.counters[REQUESTS_2XX]
        self.bytes_in, self.bytes_out = self.counters[BYTES_IN], self.counters[BYTES_OUT]
        self.recv_calls, self.send_calls = self.counters[RECV_CALLS], self.counters[SEND_CALLS]
        self.queue_pushes, self.queue_pops = self.counters[QUEUE_PUSHES], self.counters[QUEUE_POPS]
        self.queue_wait_us = self.counters[QUEUE_WAIT_US]
        if self.trace_wanted[0]:
            self.switch_trace()

    def check_trace(self) -> None:
        """After a wait: begin to trace, or stop, if that is wanted now. Written out where it is done per request."""
        if self.trace_wanted[0] != self.tracing:
            self.switch_trace()

    def switch_trace(self) -> None:
        """Begin to trace, or stop: whichever is wanted now."""
        self.tracing = self.trace_wanted[0]
        self.mark = self.cells
        if self.tracing and self._ring:
            self.mark = Tracer(self.cells, self._ring, self.cells[GENERATION], self.cells[STATE])

    def publish(self) -> None:
        """Copy the counters to the board (0.5 µs): once per wake-up, not per request."""
        counters = self.counters
        if self.wakes_per_recv:
            counters[WAKEUPS] = self.recv_calls
        counters[REQUESTS_2XX] = self.requests_2xx
        counters[BYTES_IN] = self.bytes_in
        counters[BYTES_OUT] = self.bytes_out
        counters[RECV_CALLS] = self.recv_calls
        counters[SEND_CALLS] = self.send_calls
        counters[QUEUE_PUSHES], counters[QUEUE_POPS] = self.queue_pushes, self.queue_pops
        counters[QUEUE_WAIT_US] = self.queue_wait_us
        self.cells[COUNTERS : COUNTERS + COUNTER_WORDS] = counters

    def publish_request_counters(self) -> None:
        """Copy only what a plain request counts (0.2 µs): for a thread that is `plain`."""
        cells = self.cells
        cells[_AT_REQUESTS_2XX] = self.requests_2xx
        cells[_AT_BYTES_IN] = self.bytes_in
        cells[_AT_BYTES_OUT] = self.bytes_out
        cells[_AT_RECV_CALLS] = cells[_AT_WAKEUPS] = self.recv_calls
        cells[_AT_SEND_CALLS] = self.send_calls

    def count_queue_wait(self, wait_ns: int) -> None:
        """Count a request taken from a queue after `wait_ns`."""
        wait_us = wait_ns // 1000
        self.queue_pops += 1
        self.queue_wait_us += wait_us
        self.counters[QUEUE_WAIT + min(wait_us.bit_length(), QUEUE_WAIT_BUCKETS - 1)] += 1


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself in the header, once."""

    model: str
    python: str
    gil: bool
    roles: tuple[str, ...]


class Board:
    """The engine's side: claims a row for each thread, and lends the descriptor words."""

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
        self._free: list[int] = []  # a heap: only low rows have a ring, so the lowest is taken first
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
        """Take a row for a thread that starts; raises IndexError when the knobs allowed for fewer threads."""
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
        """The share of one of `of` processes: the same rows, and flags and descriptor words that only it writes."""
        if of > PARTITIONS_MAX:
            raise ValueError(f"a board has at most {PARTITIONS_MAX} parts")
        part, size, at = copy(self), len(self.words) // of, H_PARTITION_FLAGS + 2 * index
        part._flags = self._head[at : at + 2]
        part.words = self.words[index * size : (index + 1) * size]
        self._head[H_PARTITIONS] = of
        return part

    def attach(self, row: BoardRow) -> None:
        """Called by the thread itself, first: leaves its ids, so that /proc can be asked about it."""
        row.cells[PID], row.cells[TID] = os.getpid(), threading.get_native_id()

    def release(self, row: BoardRow, voluntary: int, involuntary: int) -> None:
        """Called by the thread itself, last: leaves its context switches, and frees the row."""
        row.counters[VOLUNTARY] += voluntary
        row.counters[INVOLUNTARY] += involuntary
        row.publish()
        row.cells[CONNECTIONS] = 0
        row.mark[STATE], row.cells[TID] = ENDED, 0
        with self._claiming:
            heappush(self._free, row.slot)

    def reap(self, row: BoardRow, voluntary: int, involuntary: int) -> None:
        """For the process of `row`, whose part this is, when it ended without leaving: nobody else writes it now.

        What it had published stays counted, and what it held the kernel has closed.
        """
        left = self._row(row.slot)
        left.counters[CLOSED] = left.counters[ACCEPTED]
        self.release(left, voluntary, involuntary)
        self.words[:] = array("I", bytes(4 * len(self.words)))
        self.set_flag(FLAG_OUT_OF_DESCRIPTORS | FLAG_SATURATED, False)

    def set_flag(self, flag: int, on: bool) -> None:
        """Raise or lower a flag in the header. Acceptor's thread only."""
        if on and not self._flags[0] & flag:
            self._flags[1] += 1
        self._flags[0] = self._flags[0] | flag if on else self._flags[0] & ~flag
