"""Recordings: packing, the limit of changes, lost changes, and threads without a trace ring."""

from __future__ import annotations

import time

import pytest

from app.load.protocol.request_times import RequestTimes
from app.store.traces import TraceStore
from app.trace import recording as recordings
from app.trace.recording import Recording
from app.trace.tracing import Tracing
from engines.common.board.board import ENDED, HANDLING, READING, STATE, WAITING
from engines.common.board.trace import RINGS_MAX
from engines.common.board.trace_reader import UNKNOWN, Trace
from tests.app.trace.boards import MS, board, lane


def test_a_packed_recording_is_read_back_unchanged(tmp_path_factory: pytest.TempPathFactory) -> None:
    with board() as (engine_board, reader):
        tracing = Tracing(reader)
        with tracing.during_run(True, lock=False) as recording:
            assert recording
            for _ in range(3):
                row = engine_board.claim("worker")
                row.mark[STATE] = HANDLING
                engine_board.release(row, 0, 0)
            tracing.read(time.monotonic_ns())
        recording.requests = {kind: RequestTimes() for kind in ("plaintext", "sleep ms=50")}
        recording.requests["sleep ms=50"].append(50_000_007, 50_000)
        store = TraceStore(tmp_path_factory.mktemp("traces") / "new")
        assert store.load(7) is None
        store.save(7, recording.pack())
        packed = store.load(7)
        assert packed
        unpacked = Recording.unpack(packed)
        assert (unpacked.from_ns, unpacked.to_ns, unpacked.cuts) == (recording.from_ns, recording.to_ns, [])
        assert unpacked.lanes == recording.lanes and len(unpacked.lanes) == 3
        assert unpacked.requests == recording.requests
        store.delete(7)
        store.delete(7)
        assert store.load(7) is None


def test_a_full_recording_lists_its_cuts_and_has_a_new_limit_for_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recordings, "WARMUP_MAX", 10)
    monkeypatch.setattr(recordings, "MEASURED_MAX", 6)
    with board() as (engine_board, reader):
        engine_board.claim("worker")
        recording = Recording(0)
        for number in range(7):
            at_ms = number * 100
            changes = [(at_ms, WAITING), (at_ms + 10, READING), (at_ms + 90, WAITING)]
            if number == 4:
                recording.begin_measurement()
            recording.add(Trace(at_ms * MS, (at_ms + 100) * MS, (lane(WAITING, *changes),)), reader)
        assert recording.cuts == [[200 * MS, 400 * MS], [500 * MS, 700 * MS]]
        assert recording.to_ns == 500 * MS
        (recorded,) = recording.lanes.values()
        intervals = [
            (state, begin // MS, end // MS) for state, begin, end in recorded.state_intervals(recording.to_ns)
        ]
        assert [interval for interval in intervals if interval[0] == READING] == [
            (READING, at_ms + 10, at_ms + 90) for at_ms in (0, 100, 400)
        ]
        known_ms = sum(end - begin for _, begin, end in intervals)
        assert known_ms == 300, "the rest was cut"


def test_unknown_states_are_in_no_interval() -> None:
    with board() as (engine_board, reader):
        engine_board.claim("worker")
        recording = Recording(0)
        recording.add(Trace(0, 100 * MS, (lane(WAITING, (20, HANDLING)),)), reader)
        recording.add(Trace(100 * MS, 200 * MS, (lane(UNKNOWN, (150, WAITING), lost=9),)), reader)
        recording.add(Trace(200 * MS, 300 * MS, (lane(WAITING, (290, ENDED)),)), reader)
        (recorded,) = recording.lanes.values()
        intervals = [
            (state, begin // MS, end // MS) for state, begin, end in recorded.state_intervals(recording.to_ns)
        ]
        assert intervals == [(WAITING, 0, 20), (HANDLING, 20, 100), (WAITING, 150, 290)]
        assert recording.lost == 9


def test_threads_without_a_ring_are_counted_if_they_existed_during_the_run() -> None:
    with board(RINGS_MAX + 4) as (engine_board, reader):
        rows = [engine_board.claim("worker") for _ in range(RINGS_MAX + 4)]
        for row in rows[RINGS_MAX:]:
            engine_board.release(row, 0, 0)
        tracing = Tracing(reader)
        with tracing.during_run(True, lock=False) as first:
            tracing.read(time.monotonic_ns())
        row = engine_board.claim("worker")
        with tracing.during_run(True, lock=False) as second:
            engine_board.release(row, 0, 0)
            for _ in range(3):  # one after another, in the same row
                engine_board.release(engine_board.claim("worker"), 0, 0)
        assert first and second and (first.untraced, second.untraced) == (0, 4)
        assert Recording.unpack(second.pack()).untraced == 4
