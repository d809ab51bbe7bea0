"""Tracing: who may switch the trace of an engine on, and when."""

from __future__ import annotations

import time

import pytest

from app.trace.tracing import OFF_NO_VIEWER, OFF_UNTRACED_RUN, Tracing
from engines.common.board.board import HANDLING, QUEUE, STATE, WAITING
from tests.app.trace.boards import board


def now() -> int:
    return time.monotonic_ns()


def test_an_engine_traces_while_a_viewer_shows_its_lanes() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        assert (tracing.on, tracing.state) == (False, OFF_NO_VIEWER)
        tracing.set_watched(True, now())
        assert (tracing.on, tracing.state) == (True, "on")
        tracing.set_watched(False, now())
        assert (tracing.on, tracing.state) == (False, OFF_NO_VIEWER)


def test_viewers_cannot_switch_the_trace_on_during_an_untraced_run() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        tracing.set_watched(True, now())
        with tracing.during_run(False, lock=True) as recording:
            assert recording is None
            for watched in (True, False, True):
                tracing.set_watched(watched, now())
                assert (tracing.on, tracing.state) == (False, OFF_UNTRACED_RUN)
                assert tracing.take_pending(now()) is None
        assert tracing.state == "on", "viewers get the trace again after the run"


def test_viewers_can_switch_the_trace_on_if_the_run_is_not_ranked() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        with tracing.during_run(False, lock=False) as recording:
            assert (recording, tracing.state) == (None, OFF_NO_VIEWER)
            tracing.set_watched(True, now())
            assert tracing.state == "on"
        assert tracing.state == "on"


def test_a_traced_run_is_recorded_with_and_without_viewers() -> None:
    with board() as (engine_board, reader):
        tracing = Tracing(reader)
        with tracing.during_run(True, lock=False) as recording:
            assert recording
            row = engine_board.claim("worker", 2)
            for watched in (True, False):
                tracing.set_watched(watched, now())
                row.mark[STATE] = HANDLING
                row.mark[STATE] = QUEUE
                assert (tracing.take_pending(now()) is not None) is watched
            row.mark[STATE] = HANDLING
        assert not tracing.on
        (recorded,) = recording.lanes.values()
        assert (recorded.role, recorded.index, recorded.generation, recorded.lost) == ("worker", 2, 1, 0)
        states = [change & 15 for change in recorded.changes]
        assert states == [WAITING, HANDLING, QUEUE, HANDLING, QUEUE, HANDLING]


def test_a_failed_run_restores_the_state_of_the_trace() -> None:
    with board() as (_, reader):
        tracing = Tracing(reader)
        for traced in (True, False):
            with pytest.raises(OSError), tracing.during_run(traced, lock=not traced):
                raise OSError
            assert (tracing.on, tracing.state) == (False, OFF_NO_VIEWER)
