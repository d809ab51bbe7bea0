"""The thread trace: every change of a thread's state with its time, and no entry without a trace."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from engines.common.board.board import (
    ACCEPTING,
    BLOCKED,
    ENDED,
    HANDLING,
    QUEUE,
    READING,
    STATE,
    THREAD_STATES,
    WAITING,
    WRITING,
    EngineInfo,
    make_board,
)
from engines.common.board.reader import BoardReader
from engines.common.board.row import BoardRow
from engines.common.board.trace import ENTRIES, RINGS_MAX, TRACE_COUNT
from engines.common.board.trace_reader import SETTLED_NS, UNKNOWN, Lane, Trace, TraceReader
from engines.common.board.writer import Board
from tests.engines.conftest import Starter
from tests.engines.driver import GET, GREETING, HOST, Engine, Variant, until
from tests.engines.prefork_io.test_prefork import in_each

SLEEP_MS = 60
# Which state may follow which. A worker is idle in the queue, other threads in their wait.
FOLLOWS = {
    WAITING: {READING, ACCEPTING, HANDLING, QUEUE, ENDED},
    ACCEPTING: {WAITING, READING, ENDED},
    READING: {WAITING, ACCEPTING, HANDLING, WRITING, ENDED},
    HANDLING: {BLOCKED, WRITING, QUEUE, WAITING},
    WRITING: {HANDLING, READING, WAITING, QUEUE, ACCEPTING, ENDED},
    QUEUE: {HANDLING, ENDED},
    BLOCKED: {HANDLING},
}


@contextmanager
def traced_board(rows: int = 4) -> Iterator[tuple[Board, TraceReader]]:
    fd = make_board(rows, 16)
    reader = BoardReader(fd)
    try:
        yield Board(fd, EngineInfo("reactor", "3.11.7", True, ("reactor", "worker"))), reader.trace
    finally:
        reader.close()
        os.close(fd)


def now() -> int:
    return time.monotonic_ns()


def states(lane: Lane) -> list[int]:
    return [change & 15 for change in lane.changes]


def settled(reader: TraceReader) -> Trace:
    """Return a reading after which the state of every waiting thread is known."""
    return reader.read(now() + SETTLED_NS)


# The two sides of a ring


def test_each_change_is_read_once_with_its_time() -> None:
    with traced_board() as (board, reader):
        reader.begin(began := now())
        row = board.claim("reactor")
        for state in (READING, READING, HANDLING, HANDLING, WRITING, WAITING):
            row.mark[STATE] = state
        (lane,) = reader.read(ended := now()).lanes
        assert (lane.slot, lane.generation, lane.start, lane.lost) == (0, 1, ENDED, 0)
        assert states(lane) == [WAITING, READING, HANDLING, WRITING, WAITING]
        times = [change >> 4 for change in lane.changes]
        assert times == sorted(times) and began <= times[0] and times[-1] <= ended
        assert [(lane.start, lane.changes) for lane in reader.read(now()).lanes] == [(WAITING, [])]


def test_without_a_trace_nothing_is_written() -> None:
    with traced_board() as (board, _):
        row = board.claim("reactor")
        assert row.mark is row.cells
        for state in (READING, HANDLING, WAITING):
            row.check_trace()
            row.mark[STATE] = state
        assert (row.cells[STATE], row.cells[TRACE_COUNT]) == (WAITING, 0)


def test_the_state_of_a_busy_thread_is_unknown_until_its_next_wait() -> None:
    with traced_board() as (board, reader):
        waiting, busy = board.claim("reactor"), board.claim("worker")
        busy.mark[STATE] = HANDLING
        reader.begin(now())
        assert [lane.start for lane in reader.read(now()).lanes] == [UNKNOWN, UNKNOWN]
        assert [(lane.start, states(lane)) for lane in settled(reader).lanes] == [
            (UNKNOWN, [WAITING]),
            (UNKNOWN, []),
        ]
        busy.mark[STATE] = QUEUE  # it has not looked yet
        for row in (waiting, busy):
            row.check_trace()
            row.mark[STATE] = HANDLING
        assert [(lane.start, states(lane)) for lane in settled(reader).lanes] == [
            (WAITING, [WAITING, HANDLING]),
            (UNKNOWN, [QUEUE, HANDLING]),
        ]


def test_a_thread_stops_tracing_at_its_next_wait() -> None:
    with traced_board() as (board, reader):
        reader.begin(now())
        row = board.claim("reactor")
        row.mark[STATE] = READING
        written = row.cells[TRACE_COUNT]
        reader.end()
        row.check_trace()
        row.mark[STATE] = WAITING
        assert row.mark is row.cells and row.cells[TRACE_COUNT] == written


def test_overwritten_entries_are_counted_and_leave_a_gap() -> None:
    with traced_board() as (board, reader):
        reader.begin(now())
        row = board.claim("reactor")
        reader.read(now())
        for _ in range(ENTRIES):
            row.mark[STATE] = READING
            row.mark[STATE] = WAITING
        (lane,) = reader.read(now()).lanes
        assert (lane.generation, lane.start) == (1, UNKNOWN)
        assert lane.lost + len(lane.changes) == 2 * ENTRIES
        assert ENTRIES // 2 < len(lane.changes) < ENTRIES
        assert all(a & 15 != b & 15 and a <= b for a, b in pairwise(lane.changes))
        row.mark[STATE] = READING
        (lane,) = reader.read(now()).lanes
        assert (lane.start, states(lane), lane.lost) == (WAITING, [READING], 0)


def test_a_reused_row_is_another_lane() -> None:
    with traced_board() as (board, reader):
        reader.begin(now())
        for _ in range(3):
            row = board.claim("worker")
            row.mark[STATE] = HANDLING
            board.release(row, 0, 0)
        lanes = reader.read(now()).lanes
        assert [lane.generation for lane in lanes] == [1, 2, 3]
        assert all(states(lane) == [WAITING, HANDLING, ENDED] and lane.start == ENDED for lane in lanes)
        assert reader.read(now()).lanes == ()


def test_entries_after_the_interval_are_left_for_the_next_reading() -> None:
    with traced_board() as (board, reader):
        reader.begin(now())
        row = board.claim("reactor")
        between = now()
        row.mark[STATE] = READING
        assert [states(lane) for lane in reader.read(between).lanes] == [[WAITING]]
        assert [states(lane) for lane in reader.read(now()).lanes] == [[READING]]


def test_threads_beyond_the_rings_are_not_traced() -> None:
    with traced_board(RINGS_MAX + 1) as (board, reader):
        reader.begin(now())
        rows: list[BoardRow] = [board.claim("worker") for _ in range(RINGS_MAX + 1)]
        rows[-1].check_trace()
        rows[-1].mark[STATE] = HANDLING
        assert rows[-1].cells[STATE] == HANDLING
        assert [lane.slot for lane in reader.read(now()).lanes] == list(range(RINGS_MAX))


def test_free_rows_with_a_ring_are_used_first() -> None:
    with traced_board(RINGS_MAX + 8) as (board, _):
        rows = [board.claim("worker") for _ in range(RINGS_MAX + 8)]
        for row in (*rows[RINGS_MAX:], *rows[:RINGS_MAX]):  # the ones without a ring are free first
            board.release(row, 0, 0)
        assert [board.claim("worker").slot for _ in rows] == list(range(RINGS_MAX + 8))


# Engines


class Follower:
    """Reads an engine's trace and keeps it by thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reader = engine.trace
        self.start: dict[tuple[int, int], int] = {}
        self.changes: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self.lost = 0
        self.reader.begin(now())

    def read(self) -> None:
        for lane in self.reader.read(now()).lanes:
            key = lane.slot, lane.generation
            self.start.setdefault(key, lane.start)
            self.changes[key] += lane.changes
            self.lost += lane.lost

    def seen(self, state: int) -> int:
        """Return how often threads have entered a state so far."""
        self.read()
        return sum(change & 15 == state for changes in self.changes.values() for change in changes)

    def stays(self, state: int) -> list[float]:
        """Return how long they stayed in it each time, in ms."""
        return [
            ((b >> 4) - (a >> 4)) / 1e6
            for changes in self.changes.values()
            for a, b in pairwise(changes)
            if a & 15 == state
        ]


@contextmanager
def followed(engine: Engine) -> Iterator[Follower]:
    """Trace three clients that each send requests, sleep, pipeline and disconnect."""
    follower = Follower(engine)
    until(lambda: engine.board().threads, "its threads are there")
    sleep = f"GET /sleep?ms={SLEEP_MS} HTTP/1.1\r\n".encode() + HOST + b"\r\n"
    with engine.clients(3) as clients:
        for client in clients:
            assert client.ask().body == GREETING
            client.send(sleep)
            assert client.answer().status == 200
            client.send(GET * 5)
            assert [client.answer().status for _ in range(5)] == [200] * 5
    until(lambda: follower.seen(BLOCKED) == 3, "the trace has all three sleeps")
    yield follower


def test_a_trace_has_every_threads_states_in_a_possible_order(start: Starter, variant: Variant) -> None:
    with followed(start(variant)) as follower:
        assert follower.lost == 0
        for changes in follower.changes.values():
            for a, b in pairwise(changes):
                assert a >> 4 <= b >> 4, "time does not go back"
                if a & 15 != b & 15:  # the same one again: it begins to trace
                    names = THREAD_STATES[a & 15], THREAD_STATES[b & 15]
                    assert b & 15 in FOLLOWS[a & 15], f"{names[0]} → {names[1]}"
        seen = {change & 15 for changes in follower.changes.values() for change in changes}
        assert {ACCEPTING, READING, HANDLING, WRITING, BLOCKED, QUEUE if variant.pooled else WAITING} <= seen
        slept = follower.stays(BLOCKED)
        assert len(slept) == 3 and min(slept) >= SLEEP_MS, "a handler is blocked for as long as it sleeps"


def test_an_engine_writes_no_entries_without_a_trace(start: Starter, variant: Variant) -> None:
    with followed(start(variant)) as follower:
        follower.reader.end()
        engine = follower.engine
        give_every_thread_a_request(engine, variant)
        written = engine.traced()
        with engine.clients(2) as clients:
            for client in clients:
                assert client.ask().body == GREETING
        assert engine.traced() == written


def give_every_thread_a_request(engine: Engine, variant: Variant) -> None:
    """Wake every thread: a thread learns of the end of a trace when it wakes up."""
    if variant.model == "prefork":
        with in_each(engine) as clients:
            for client in clients:
                assert client.ask().body == GREETING
        until(lambda: engine.held() == 0, "they are closed")
        return
    workers = sum(thread.role == "worker" for thread in engine.board().threads)
    with engine.clients(max(4, 2 * workers)) as clients:
        for client in clients:
            client.send(b"GET /sleep?ms=500 HTTP/1.1\r\n" + HOST + b"\r\n" if workers else GET)
        until(lambda: engine.blocked() >= workers, "every worker sleeps at the same time")
        for client in clients:
            assert client.answer().status == 200


def test_a_thread_is_idle_in_its_wait(start: Starter, variant: Variant) -> None:
    """While a client sends nothing, all that its threads do is wait."""
    follower = Follower(engine := start(variant))
    with engine.clients(1) as (client,):
        assert client.ask().body == GREETING
        until(engine.is_asleep, "it waits")
        follower.read()
        follower.changes.clear()
        silent_ns = now()
        until(lambda: now() - silent_ns > 200_000_000, "some time has passed")
        assert client.ask().body == GREETING
        until(lambda: follower.seen(HANDLING) >= 1, "the request is in the trace")
    rests = [
        (changes[0] >> 4) - silent_ns
        for changes in follower.changes.values()
        if changes and changes[0] & 15 not in (QUEUE, WAITING)
    ]
    assert max(rests) >= 200_000_000
