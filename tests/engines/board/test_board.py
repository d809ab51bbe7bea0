"""The board: a reader sees what a writer wrote, and the counts match what the clients did."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.common.board.board import (
    CONNECTION_STATES,
    COUNTER_NAMES,
    ENDED,
    MAGIC,
    QUEUE_HIGH_WATER,
    QUEUE_WAIT_BUCKETS,
    STATE,
    THREAD_STATES,
    BadBoard,
    EngineInfo,
    board_size,
    make_board,
)
from engines.common.board.reader import BoardReader
from engines.common.board.row import BoardRow
from engines.common.board.writer import Board
from tests.engines.conftest import Starter
from tests.engines.driver import GET, GREETING, HOST, Engine, Variant, until

INFO = EngineInfo("reactor-pool", "3.11.7", True, ("reactor", "worker", "naïve"))
COUNTS = st.integers(0, 2**40)


@contextmanager
def boards(rows: int, words: int) -> Iterator[tuple[Board, BoardReader]]:
    """Return the two sides of one board."""
    fd = make_board(rows, words)
    reader = BoardReader(fd)
    try:
        yield Board(fd, INFO), reader
    finally:
        reader.close()
        os.close(fd)


def count(row: BoardRow, counts: dict[str, int]) -> None:
    """Count on a row: request counters are attributes, the others are in the array."""
    for name, value in counts.items():
        if hasattr(row, name):
            setattr(row, name, value)
        else:
            row.counters[COUNTER_NAMES.index(name)] = value


# What is written is what is read


def test_an_empty_board_has_no_threads_and_no_counts() -> None:
    fd = make_board(4, 16)
    reader = BoardReader(fd)
    reading = reader.read()
    assert reading.info is None
    assert reading.threads == ()
    assert set(reading.counters.values()) == {0}
    assert set(reading.connections.values()) == {0}
    assert (reading.requests, reading.io_calls, reading.queue_depth) == (0, 0, 0)
    reader.close()
    os.close(fd)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(INFO.roles),
            st.integers(0, 300),
            st.sampled_from(range(1, len(THREAD_STATES))),
            st.lists(COUNTS, min_size=len(COUNTER_NAMES), max_size=len(COUNTER_NAMES)),
        ),
        max_size=6,
    )
)
def test_rows_read_as_written(threads: list[tuple[str, int, int, list[int]]]) -> None:
    with boards(8, 16) as (board, reader):
        for role, index, state, counts in threads:
            row = board.claim(role, index)
            row.cells[STATE] = state
            count(row, dict(zip(COUNTER_NAMES, counts, strict=True)))
            row.publish()
        reading = reader.read()
        assert reading.info == INFO
        read = [(t.role, t.index, t.state, list(t.counters)) for t in reading.threads]
        assert read == threads
        for number, name in enumerate(COUNTER_NAMES):
            column = [counts[number] for *_, counts in threads]
            expected = max(column, default=0) if number == QUEUE_HIGH_WATER else sum(column)
            assert reading.counters[name] == expected
        assert reader.states() == [state for _, _, state, _ in threads]


def test_counters_are_visible_once_they_are_published() -> None:
    with boards(2, 16) as (board, reader):
        row = board.claim("reactor")
        row.counters[0] += 5
        assert reader.read().counters["accepted"] == 0
        row.publish()
        assert reader.read().counters["accepted"] == 5


@given(st.lists(st.integers(0, 2**45), max_size=40))
def test_a_queue_wait_is_counted_in_the_bucket_of_its_power_of_two(waits_ns: list[int]) -> None:
    with boards(2, 16) as (board, reader):
        row = board.claim("worker")
        for wait_ns in waits_ns:
            row.count_queue_wait(wait_ns)
        row.publish()
        reading = reader.read()
        expected = [0] * QUEUE_WAIT_BUCKETS
        for wait_ns in waits_ns:
            bucket = next(
                (i for i in range(QUEUE_WAIT_BUCKETS) if wait_ns // 1000 < 2**i), QUEUE_WAIT_BUCKETS - 1
            )
            expected[bucket] += 1
        assert list(reading.queue_wait) == expected
        assert reading.counters["queue_pops"] == len(waits_ns)
        assert reading.counters["queue_wait_us"] == sum(wait // 1000 for wait in waits_ns)


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 5), st.integers(0, 255), st.integers(0, 200))))
def test_connection_words_are_counted_by_their_state(words: list[tuple[int, int, int, int]]) -> None:
    with boards(2, 64) as (board, reader):
        last: dict[int, int] = {}
        for fd, state, generation, owner in words:
            board.words[fd] = owner << 16 | generation << 8 | state
            last[fd] = state
        read = reader.read().connections
        assert "closed" not in read
        assert read == {
            name: list(last.values()).count(state) for state, name in enumerate(CONNECTION_STATES) if state
        }


def test_flags_are_set_and_pauses_are_counted() -> None:
    with boards(2, 16) as (board, reader):
        for flag, flags in ((1, (True, False)), (2, (False, True))):
            pauses = reader.read().accept_pauses
            for _ in range(3):
                board.set_flag(flag, True)
            assert reader.flags() == flags
            assert reader.read().accept_pauses == pauses + 1, "it is one pause however often it is said"
            board.set_flag(flag, False)
            assert reader.flags() == (False, False)


def test_a_row_is_reused_and_its_counters_continue() -> None:
    with boards(3, 16) as (board, reader):
        for generation in (1, 2, 3):
            row = board.claim("worker", generation)
            row.counters[0] += 10
            assert reader.read().threads[0].generation == generation
            board.release(row, voluntary=2, involuntary=1)
            reading = reader.read()
            assert reading.threads == ()
            assert reading.counters["accepted"] == 10 * generation
            assert reading.counters["voluntary_switches"] == 2 * generation
            assert reading.counters["involuntary_switches"] == generation
            assert reader.states() == [ENDED]


def test_claiming_more_rows_than_there_are_raises() -> None:
    with boards(1, 16) as (board, _):
        board.claim("worker")
        with pytest.raises(IndexError):
            board.claim("worker")


@pytest.mark.parametrize(
    ("what", "at", "value"), [("magic", 0, 1), ("version", 8, 99), ("rows", 16, 10**6), ("words", 24, 10**9)]
)
def test_a_file_that_is_not_a_board_is_rejected(what: str, at: int, value: int) -> None:
    fd = make_board(4, 16)
    os.pwrite(fd, value.to_bytes(8, "little"), at)
    with pytest.raises(BadBoard):
        BoardReader(fd)
    with pytest.raises(BadBoard):
        Board(fd, INFO)
    os.close(fd)


@pytest.mark.parametrize("size", [0, 1, 4095])
def test_a_file_that_is_too_short_is_rejected(size: int) -> None:
    fd = os.memfd_create("small")
    os.ftruncate(fd, size)
    with pytest.raises(BadBoard):
        BoardReader(fd)
    os.close(fd)


@given(st.integers(0, 40), st.integers(0, 200))
def test_board_size_is_the_size_of_the_file(rows: int, words: int) -> None:
    fd = make_board(rows, words)
    assert os.fstat(fd).st_size == board_size(rows, words)
    assert int.from_bytes(os.pread(fd, 8, 0), "little") == MAGIC
    os.close(fd)


# What is read is what the clients did


def test_counters_match_what_the_clients_did(start: Starter, variant: Variant) -> None:
    engine = start(variant)
    sent = received = 0
    for number in range(10):
        with engine.connect() as client:
            for _ in range(number):
                assert client.ask().status == 200
            client.send(GET * 7)
            assert [client.answer().status for _ in range(7)] == [200] * 7
            assert client.ask("/echo", "POST", b"x" * 5000).status == 200
            assert client.ask("/nowhere").status == 404
            assert client.ask("/cpu?us=x").status == 400
            assert client.ask("/bytes?n=100000").status == 200
            sent, received = sent + client.sent, received + client.received
    quiet(engine, accepted=10)
    # A worker publishes its counters after its response may have arrived and the connection may be closed.
    until(lambda: requests_counted(engine) == sum(range(10)) + 10 * (7 + 4), "all requests are counted")
    counters = engine.board().counters
    assert counters["accepted"] == counters["closed"] == 10
    assert counters["requests_2xx"] == sum(range(10)) + 10 * (7 + 2)
    assert counters["requests_4xx"] == 20
    assert counters["requests_5xx"] == counters["timeouts"] == 0
    assert counters["bytes_in"] == sent
    assert counters["bytes_out"] == received
    if variant.pooled:
        assert counters["queue_pushes"] == counters["queue_pops"] == sum(engine.board().queue_wait)
        requests = counters["requests_2xx"] + counters["requests_4xx"]
        assert requests - 10 * 6 <= counters["queue_pops"] <= requests, "pipelined ones may share a turn"
    else:
        assert counters["queue_pushes"] == counters["queue_pops"] == 0
    if variant.model != "proactor":
        assert counters["recv_calls"] >= sum(range(10)) + 10 * (1 + 4 + 1)
        assert counters["send_calls"] >= sum(range(10)) + 10 * (1 + 4)
        assert counters["accept_calls"] >= 10
    else:
        assert counters["recv_calls"] == counters["send_calls"] == 0, "the ring receives and sends"
        assert counters["wait_calls"] >= 10


def requests_counted(engine: Engine) -> int:
    counters = engine.board().counters
    return sum(counters[name] for name in ("requests_2xx", "requests_4xx", "requests_5xx"))


def test_refusals_and_deadlines_are_counted(start: Starter, variant: Variant) -> None:
    engine = start(variant.with_knobs(header_s=1))
    with engine.connect() as bad, engine.connect() as late:
        late.send(b"GET /")
        bad.send(b"GET / HTTP/9.9\r\n\r\n")
        assert bad.answer().status >= 400
        quiet(engine, accepted=2)
    counters = engine.board().counters
    assert counters["timeouts"] == 1, "the end of a refusal is none"
    assert counters["requests_4xx"] + counters["requests_5xx"] >= 1
    assert counters["requests_2xx"] == 0


def quiet(engine: Engine, accepted: int) -> None:
    """Wait until every accepted connection is closed, and the event loops have published it."""

    def all_closed() -> bool:
        reading = engine.board()
        done = reading.counters["accepted"] == reading.counters["closed"] == accepted
        return done and not any(reading.connections.values()) and engine.held() == 0

    until(all_closed, "all is closed")


def test_the_states_of_threads_and_connections_are_visible(start: Starter, variant: Variant) -> None:
    engine = start(variant)
    sleep = b"GET /sleep?ms=300 HTTP/1.1\r\n" + HOST + b"\r\n"
    with engine.clients(3) as (sleeping, reading, idle):
        reading.send(GET[:-2])
        assert idle.ask().body == GREETING
        until(lambda: engine.board().connections == seen(idle=2, reading=1), "one is reading")
        sleeping.send(sleep)
        until(lambda: engine.board().connections == seen(idle=1, reading=1, handling=1), "one is handled")
        until(
            lambda: [THREAD_STATES[t.state] for t in engine.board().threads].count("blocked") == 1,
            "it sleeps",
        )
        sleeping.answer()
        resting = {"waiting", "queue"}
        until(lambda: {THREAD_STATES[t.state] for t in engine.board().threads} <= resting, "all rest")
        until(lambda: engine.board().connections == seen(idle=2, reading=1), "it is idle again")
    quiet(engine, accepted=3)


def seen(**states: int) -> dict[str, int]:
    return {name: states.get(name, 0) for name in CONNECTION_STATES if name != "closed"}


def test_blocking_reuses_the_rows_of_ended_threads(start: Starter) -> None:
    engine = start(Variant("blocking"))
    for number in range(1, 6):
        with engine.connect() as client:
            assert client.ask().body == GREETING
            (thread,) = [t for t in engine.board().threads if t.role == "connection"]
            assert (thread.slot, thread.generation) == (1, number)
        until(lambda: engine.threads() == 1, "its thread has ended")
    counters = engine.board().counters
    assert counters["requests_2xx"] == counters["closed"] == 5
    assert counters["voluntary_switches"] + counters["involuntary_switches"] >= 1, (
        "those of threads that ended"
    )


def test_thread_ids_are_those_of_the_kernel(start: Starter, variant: Variant) -> None:
    engine = start(variant)
    tids = {thread.tid for thread in engine.board().threads}
    assert engine.pid in tids
    assert tids <= {int(task.name) for task in engine.tasks()}
    assert {thread.pid for thread in engine.board().threads} == set(engine.pids)
    note = engine.board().info
    assert note is not None
    assert (note.model, note.python) == (engine.variant.model, engine.ready["python"])


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_the_last_state_is_readable_after_the_engine_was_killed(
    start: Starter, variant: Variant, end: str
) -> None:
    engine = start(variant)
    with engine.clients(5) as clients, ExitStack() as stack:
        for client in clients:
            assert client.ask().body == GREETING
        until(lambda: engine.board().requests == engine.board().connections["idle"] == 5, "they are counted")
        if end == "killed":
            assert engine.stop(signal.SIGKILL).code == -signal.SIGKILL
        else:
            stack.enter_context(engine.frozen())
            clients[0].send(GET)
        reading = engine.board()
        assert reading.requests == 5
        assert reading.connections["idle"] == 5


def test_wakeups_only_ever_grow(start: Starter, variant: Variant) -> None:
    """For every kind of publishing: plain, whole, and at the end of a connection."""
    engine = start(variant)
    seen = [0]
    for target in ("/", "/nothing", "/"):
        with engine.connect() as client:
            client.ask(target)
            until(lambda: engine.board().requests == len(seen), "it is counted")
            seen.append(engine.board().counters["wakeups"])
        until(lambda: engine.held() == 0, "the conversation is over")
        assert engine.board().counters["wakeups"] >= seen[-1]
    assert seen == sorted(seen) and seen[-1] >= 3
