"""Who may switch a trace on, what of it is kept, and how it is told: the parts, without a lab."""

from __future__ import annotations

import base64
import json
import os
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events import LINE, LINES_KEPT, Event, Events
from app.fleet.rates import Total, Window
from app.fleet.stderr_events import LINE_MAX, LINES_PER_S, Said
from app.live.grid import Grid
from app.live.lanes import SLICES, Rounds, lanes
from app.store.traces import TraceStore
from app.trace import recording as recordings
from app.trace.recording import Recording
from app.trace.tracing import MEASURED, UNWATCHED, Tracing, joined
from engines.common.board.board import (
    ENDED,
    HANDLING,
    QUEUE,
    QUEUE_WAIT_BUCKETS,
    READING,
    STATE,
    WAITING,
    EngineInfo,
    make_board,
)
from engines.common.board.reader import BoardReader
from engines.common.board.trace import RINGS_MAX
from engines.common.board.trace_reader import UNKNOWN, Lane, Trace
from engines.common.board.writer import Board

MS = 1_000_000


@contextmanager
def board(rows: int = 4) -> Iterator[tuple[Board, BoardReader]]:
    fd = make_board(rows, 16)
    reader = BoardReader(fd)
    try:
        yield Board(fd, EngineInfo("reactor", "3.11.7", True, ("reactor", "worker"))), reader
    finally:
        reader.close()
        os.close(fd)


def now() -> int:
    return time.monotonic_ns()


def lane(start: int, *changes: tuple[float, int], lost: int = 0, slot: int = 0) -> Lane:
    """One whose changes are at so many ms."""
    return Lane(slot, 1, start, lost, [int(ms * MS) << 4 | state for ms, state in changes])


# Who decides


def test_it_traces_while_somebody_watches() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        assert (tracing.on, tracing.state) == (False, UNWATCHED)
        tracing.watch(True, now())
        assert (tracing.on, tracing.state) == (True, "on")
        tracing.watch(False, now())
        assert (tracing.on, tracing.state) == (False, UNWATCHED)


def test_a_run_that_is_not_traced_is_not_disturbed_by_who_watches() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        tracing.watch(True, now())
        with tracing.run(False, lock=True) as recording:
            assert recording is None
            for watched in (True, False, True):
                tracing.watch(watched, now())
                assert (tracing.on, tracing.state) == (False, MEASURED)
                assert tracing.take(now()) is None
        assert tracing.state == "on", "whoever still watches sees it again"


def test_where_nothing_is_ranked_a_run_leaves_the_trace_to_who_watches() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        with tracing.run(False, lock=False) as recording:
            assert (recording, tracing.state) == (None, UNWATCHED)
            tracing.watch(True, now())
            assert tracing.state == "on"
        assert tracing.state == "on"


def test_a_traced_run_is_recorded_whoever_watches() -> None:
    with board() as (written, reader):
        tracing = Tracing(reader)
        with tracing.run(True, lock=False) as recording:
            assert recording
            row = written.claim("worker", 2)
            for watched in (True, False):
                tracing.watch(watched, now())
                row.mark[STATE] = HANDLING
                row.mark[STATE] = QUEUE
                assert (tracing.take(now()) is not None) is watched
            row.mark[STATE] = HANDLING
        assert not tracing.on
        (recorded,) = recording.lanes.values()
        assert (recorded.role, recorded.index, recorded.generation, recorded.lost) == ("worker", 2, 1, 0)
        states = [change & 15 for change in recorded.changes]
        assert states == [WAITING, HANDLING, QUEUE, HANDLING, QUEUE, HANDLING]


def test_a_run_that_fails_leaves_the_trace_as_it_was() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        for traced in (True, False):
            with pytest.raises(OSError), tracing.run(traced, lock=not traced):
                raise OSError
            assert (tracing.on, tracing.state) == (False, UNWATCHED)


# What is kept


def test_a_recording_is_read_back_as_it_was_packed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with board() as (written, reader):
        tracing = Tracing(reader)
        with tracing.run(True, lock=False) as recording:
            assert recording
            for _ in range(3):
                row = written.claim("worker")
                row.mark[STATE] = HANDLING
                written.release(row, 0, 0)
            tracing.read(now())
        store = TraceStore(tmp_path_factory.mktemp("traces") / "new")
        assert store.load(7) is None
        store.save(7, recording.pack())
        packed = store.load(7)
        assert packed
        again = Recording.unpack(packed)
        assert (again.from_ns, again.to_ns, again.cuts) == (recording.from_ns, recording.to_ns, [])
        assert again.lanes == recording.lanes and len(again.lanes) == 3
        store.delete(7)
        store.delete(7)
        assert store.load(7) is None


def test_a_recording_that_is_full_says_what_was_cut_and_has_room_again_for_what_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recordings, "WARMUP_MAX", 10)
    monkeypatch.setattr(recordings, "MEASURED_MAX", 6)
    with board() as (written, reader):
        written.claim("worker")
        recording = Recording(0)
        for number in range(7):
            at = number * 100
            changes = [(at, WAITING), (at + 10, READING), (at + 90, WAITING)]
            if number == 4:
                recording.measuring()
            recording.add(Trace(at * MS, (at + 100) * MS, (lane(WAITING, *changes),)), reader)
        assert recording.cuts == [[200 * MS, 400 * MS], [500 * MS, 700 * MS]]
        assert recording.to_ns == 500 * MS
        (recorded,) = recording.lanes.values()
        stays = [(state, begin // MS, end // MS) for state, begin, end in recorded.stays(recording.to_ns)]
        assert [stay for stay in stays if stay[0] == READING] == [
            (READING, at + 10, at + 90) for at in (0, 100, 400)
        ]
        known = sum(end - begin for _, begin, end in stays)
        assert known == 300, "the rest was cut, and is nobody's state"


def test_what_is_not_known_is_in_no_stay() -> None:
    with board() as (written, reader):
        written.claim("worker")
        recording = Recording(0)
        recording.add(Trace(0, 100 * MS, (lane(WAITING, (20, HANDLING)),)), reader)
        recording.add(Trace(100 * MS, 200 * MS, (lane(UNKNOWN, (150, WAITING), lost=9),)), reader)
        recording.add(Trace(200 * MS, 300 * MS, (lane(WAITING, (290, ENDED)),)), reader)
        (recorded,) = recording.lanes.values()
        stays = [(state, begin // MS, end // MS) for state, begin, end in recorded.stays(recording.to_ns)]
        assert stays == [(WAITING, 0, 20), (HANDLING, 20, 100), (WAITING, 150, 290)]
        assert recording.lost == 9


def test_threads_without_a_ring_are_counted_if_they_were_there_meanwhile() -> None:
    with board(RINGS_MAX + 4) as (written, reader):
        rows = [written.claim("worker") for _ in range(RINGS_MAX + 4)]
        for row in rows[RINGS_MAX:]:
            written.release(row, 0, 0)
        tracing = Tracing(reader)
        with tracing.run(True, lock=False) as nobody:
            tracing.read(now())
        there = written.claim("worker")
        with tracing.run(True, lock=False) as some:
            written.release(there, 0, 0)
            for _ in range(3):  # one after the other, in one row
                written.release(written.claim("worker"), 0, 0)
        assert nobody and some and (nobody.untraced, some.untraced) == (0, 4)
        assert Recording.unpack(some.pack()).untraced == 4


# How it is told


def test_intervals_are_joined_and_a_gap_stays_one() -> None:
    first = Trace(0, 100 * MS, (lane(WAITING, (20, HANDLING)),))
    second = Trace(
        100 * MS, 200 * MS, (lane(UNKNOWN, (150, WAITING), lost=9), lane(ENDED, (120, WAITING), slot=1))
    )
    both = joined([first, second])
    assert (both.from_ns, both.to_ns) == (0, 200 * MS)
    told = lanes(both, 4)["lanes"]
    assert told == [
        [0, 1, WAITING, 9, [20_000, HANDLING, 80_000, UNKNOWN, 50_000, WAITING], None],
        [1, 1, ENDED, 0, [120_000, WAITING], None],
    ]


def test_a_change_that_was_shown_late_does_not_go_back_in_time() -> None:
    told = lanes(Trace(100 * MS, 200 * MS, (lane(WAITING, (99, HANDLING), (150, WAITING)),)), 4)
    assert told["lanes"][0][4] == [0, HANDLING, 50_000, WAITING]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 900_000), st.integers(1, 7)), min_size=201, max_size=400))
def test_many_changes_are_told_as_shares_that_add_up(steps: list[tuple[int, int]]) -> None:
    at, changes = 0, []
    for dt, state in steps:
        at += dt
        changes.append(at << 4 | state)
    to_ns = at + 1000
    (told,) = lanes(Trace(0, to_ns, (Lane(0, 1, WAITING, 0, changes),)), 4)["lanes"]
    assert told[4] is None and len(told[5]) == SLICES
    for each in told[5]:
        assert abs(sum(each[1::2]) - 1000) <= 4, "each share is rounded"
    spent: dict[int, int] = {}
    for (state, begin), end in zip(
        [(WAITING, 0), *((c & 15, c >> 4) for c in changes)], [*(c >> 4 for c in changes), to_ns], strict=True
    ):
        spent[state] = spent.get(state, 0) + end - begin
    for state, ns in spent.items():
        in_slices = sum(each[i + 1] for each in told[5] for i in range(0, len(each), 2) if each[i] == state)
        assert abs(in_slices / 1000 / SLICES - ns / to_ns) < 0.002


def test_loop_lag_is_the_longest_round_also_one_that_goes_on() -> None:
    rounds, loops = Rounds(), {0: "reactor"}
    busy = lane(WAITING, (10, READING), (15, WAITING), (20, READING), (80, HANDLING))
    assert rounds.longest_us(Trace(0, 100 * MS, (busy,)), loops) == 80_000
    assert rounds.longest_us(Trace(100 * MS, 200 * MS, (lane(HANDLING),)), loops) == 180_000
    assert rounds.longest_us(Trace(200 * MS, 300 * MS, (lane(HANDLING, (210, WAITING)),)), loops) == 190_000
    assert rounds.longest_us(Trace(300 * MS, 400 * MS, (lane(WAITING, (390, HANDLING)),)), loops) == 10_000
    idle = Trace(9000 * MS, 9100 * MS, (lane(WAITING),))
    assert rounds.longest_us(idle, loops) == 0, "it waited all the time"
    assert rounds.longest_us(Trace(9100 * MS, 9200 * MS, (lane(QUEUE, (9110, HANDLING)),)), loops) is None


def test_loop_lag_is_not_known_until_a_loop_was_seen_to_wait() -> None:
    rounds, loops = Rounds(), {0: "reactor"}
    began = lane(UNKNOWN, (50, HANDLING))
    assert rounds.longest_us(Trace(0, 100 * MS, (began,)), loops) is None
    assert rounds.longest_us(Trace(100 * MS, 200 * MS, (lane(HANDLING),)), loops) is None, (
        "it goes on, since when?"
    )
    assert rounds.longest_us(Trace(200 * MS, 300 * MS, (lane(HANDLING, (250, WAITING)),)), loops) is None
    assert rounds.longest_us(Trace(300 * MS, 400 * MS, (lane(WAITING, (390, READING)),)), loops) == 10_000
    pieces = [
        Trace(400 * MS, 450 * MS, (lane(READING),)),
        Trace(450 * MS, 500 * MS, (lane(UNKNOWN, (480, WAITING)),)),
    ]
    assert rounds.longest_us(joined(pieces), loops) is None, "with a gap in it"
    assert rounds.longest_us(Trace(500 * MS, 600 * MS, (lane(WAITING),)), loops) == 0


def test_loop_lag_is_not_known_if_that_of_one_loop_is_not() -> None:
    rounds, loops = Rounds(), {0: "sub", 1: "sub", 2: "worker", 3: "worker"}
    at_rest, queues, busy = lane(WAITING), lane(QUEUE, slot=2), lane(UNKNOWN, slot=3)
    first = Trace(0, 100 * MS, (at_rest, lane(UNKNOWN, slot=1), queues, busy))
    assert rounds.longest_us(first, loops) is None
    second = Trace(100 * MS, 200 * MS, (at_rest, lane(WAITING, (150, READING), slot=1), queues, busy))
    assert rounds.longest_us(second, loops) == 50_000, "a worker is no loop, whatever it does"
    assert rounds.longest_us(Trace(200 * MS, 300 * MS, (at_rest, queues)), loops) is None, "one has no ring"


# The grid and the ledger


def decoded(text: str) -> tuple[bool, array[int]]:
    said = json.loads(text)
    return said["full"], array("I", base64.b64decode(said["words"]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 599), st.integers(0, 2**32 - 1), max_size=40), min_size=2, max_size=5
    )
)
def test_changes_of_the_grid_lead_from_one_to_the_next(frames: list[dict[int, int]]) -> None:
    grid, words, page = Grid(), array("I", [0] * 600), array("I", [0] * 600)
    for number, changed in enumerate(frames):
        for index, word in changed.items():
            words[index] = word
        step = grid.step(words.tobytes())
        full, told = decoded(step.text(step.number - 1 if number else None))
        assert full or number, "who has seen nothing gets the whole"
        if full:
            page = told + array("I", [0] * (600 - len(told)))
        else:
            for index, word in zip(told[::2], told[1::2], strict=True):
                page[index] = word
        assert page == words
        assert decoded(step.text(None))[0] and decoded(step.text(step.number - 2))[0]


def total(second: float, requests: int, **more: Any) -> Total:
    none: dict[str, int | None] = dict.fromkeys(("cpu_ns", "switches"))
    counts = dict.fromkeys(("io_calls", "bytes_in", "bytes_out", "queue_pops", "queue_wait_us"), 0)
    waits = (0,) * QUEUE_WAIT_BUCKETS
    return Total(
        at_ns=int(second * 1e9), requests=requests, **{"queue_wait": waits, **none, **counts, **more}
    )


def test_a_request_costs_what_the_last_second_says() -> None:
    window = Window()
    assert window.cost().cpu_us_per_request is None
    for tenth in range(31):
        window.add(total(tenth / 10, 50 * tenth, cpu_ns=500_000 * tenth, io_calls=100 * tenth, switches=None))
    cost = window.cost()
    assert (cost.cpu_us_per_request, cost.io_calls_per_request, cost.switches_per_request) == (
        10.0,
        2.0,
        None,
    )
    assert cost.queue_wait_us is None, "nobody was in a queue"
    for tenth in range(31, 45):
        window.add(total(tenth / 10, 1500, cpu_ns=20_000_000, io_calls=3000))
    assert window.cost().cpu_us_per_request is None, "nothing was asked for"


def test_the_p99_of_the_waits_in_a_queue_needs_a_thousand_of_them() -> None:
    def p99(**waits_by_bucket: int) -> float | None:
        waits = [waits_by_bucket.get(f"b{bucket}", 0) for bucket in range(QUEUE_WAIT_BUCKETS)]
        window = Window()
        window.add(total(0, 0))
        window.add(total(1, 2000, queue_wait=tuple(waits)))
        return window.cost().queue_wait_p99_us

    assert p99(b4=999) is None
    assert p99(b4=990, b10=10) == 2**4
    assert p99(b4=989, b10=11) == 2**10


def test_less_than_before_is_not_known_and_not_nothing() -> None:
    window = Window()
    window.add(total(0, 0, cpu_ns=90_000_000, switches=900))
    window.add(total(1, 100, cpu_ns=80_000_000, switches=800))  # a process has ended
    cost = window.cost()
    assert (cost.cpu_us_per_request, cost.switches_per_request, cost.switches_per_s) == (None, None, None)


# Events


def test_an_engine_that_talks_much_drives_nothing_else_out() -> None:
    events = Events()
    heard: list[str] = []
    events.listen(lambda event: heard.append(event.name))
    events.tell(Event("engine.ready", "reactor-1", "reactor", None, "reactor-1 is ready"))
    for number in range(LINES_KEPT + 5):
        events.tell(Event(LINE, "reactor-1", "reactor", None, f"line {number}"))
    events.tell(Event("engine.exited", "reactor-1", "reactor", None, "reactor-1 is gone"))
    kept = events.since(0)
    assert [kept[0].event, kept[-1].event, len(kept)] == ["engine.ready", "engine.exited", LINES_KEPT + 2]
    assert [event.id for event in kept] == sorted(event.id for event in kept)
    assert [event.id for event in events.since(kept[-2].id)] == [events.last] == [LINES_KEPT + 7]
    assert len(heard) == LINES_KEPT + 7, "whoever listens hears all of it"


def test_a_flood_of_lines_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("app.fleet.stderr_events.time", SimpleNamespace(monotonic=lambda: clock[0]))
    told: list[str] = []
    said = Said(told.append)
    for _ in range(LINES_PER_S + 1234):
        said.line("x" * 10_000)
    assert len(told) == LINES_PER_S and all(len(line) <= LINE_MAX + 1 for line in told)
    clock[0] = 101.5
    said.line("calm again")
    assert "1,234 more lines" in told[-2] and told[-1] == "calm again"
