"""The layout of the metrics board: shared memory in which an engine's threads keep their state and counters.

    header   4 KiB: version, pid, sizes, flags, and JSON (model, Python, roles)
    rows     512 bytes per thread: generation, thread id, role, state, counters, queue-wait histogram
    words    32 bits per descriptor: state, generation, owner row
    rings    256 KiB for each of the first 64 threads: trace entries (see trace.py), untouched without a trace

Each row has one writer, there are no locks, and nothing runs in the engine only to be observed: an engine
that hangs, spins or dies still shows its last state. Marking a state is one store of 8 bytes (33 ns).
Counters are kept in an array of the thread and copied once per wake-up. They are never reset, not even when a
row is used again.

An engine of several processes divides its board: each process has a partition with its own flags and
descriptor words, because a descriptor's number is valid in its process only. The master claims every row.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

from engines.common.board.trace import RING_BYTES, RINGS_MAX, TRACE_COUNT

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
H_PARTITION_FLAGS = 16  # two words (flags, pauses) for each partition, up to INFO_AT
HEADER_WORDS = INFO_AT // 8
PARTITIONS_MAX = (HEADER_WORDS - H_PARTITION_FLAGS) // 2
FLAG_OUT_OF_DESCRIPTORS, FLAG_SATURATED = 1, 2

# Row words. Those from COUNTERS on only grow.
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
IO_CALLS = ("accept_calls", "recv_calls", "send_calls", "wait_calls", "other_calls")

THREAD_STATES = ("ended", "waiting", "accepting", "reading", "handling", "writing", "queue", "blocked")
ENDED, WAITING, ACCEPTING, READING, HANDLING, WRITING, QUEUE, BLOCKED = range(len(THREAD_STATES))
# In these states a thread has nothing to do; in all others it is occupied, which does not mean on a CPU.
# BLOCKED: it is occupied, and waits for a sleep, a client, or a process that it has started.
IDLE_STATES = frozenset({ENDED, WAITING, QUEUE})

CONNECTION_STATES = ("closed", "idle", "reading", "queued", "handling", "writing")
C_CLOSED, C_IDLE, C_READING, C_QUEUED, C_HANDLING, C_WRITING = range(len(CONNECTION_STATES))


def trace_offset(rows: int, words: int) -> int:
    """Return where the trace rings begin, in bytes: on their own page, which is untouched without a trace."""
    return -(-(HEADER_BYTES + rows * ROW_BYTES + words * 4) // mmap.PAGESIZE) * mmap.PAGESIZE


def board_size(rows: int, words: int) -> int:
    """Return the size in bytes of a board with so many rows and descriptor words."""
    return trace_offset(rows, words) + min(rows, RINGS_MAX) * RING_BYTES


def make_board(rows: int, words: int) -> int:
    """Create an empty board in an anonymous file; return its descriptor, which the engine inherits."""
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
    """The descriptor is not a board of this version."""


def map_board(fd: int, access: int = mmap.ACCESS_WRITE) -> tuple[mmap.mmap, int, int]:
    """Map a board; return the mapping, its rows and its descriptor words. Raises BadBoard."""
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


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the header says about the engine, written once."""

    model: str
    python: str
    gil: bool
    roles: tuple[str, ...]
