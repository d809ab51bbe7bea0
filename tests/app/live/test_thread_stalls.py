"""The live share of time in which a thread waits for the GIL or a lock, from trace and schedstat."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.live.thread_stalls import ThreadStalls
from app.machine.proc import SchedStat
from app.machine.thread_stats import ThreadRates
from engines.common.board.board import BLOCKED, ENDED, HANDLING, QUEUE, READING, WAITING
from engines.common.board.trace_reader import GAP, UNKNOWN, Lane, Trace
from tests.app.trace.boards import MS, lane

TID = 70
THREAD = cast(Any, SimpleNamespace(slot=0, generation=1, tid=TID))
Rates = dict[int, ThreadRates]
Step = tuple[int, int, Lane, Rates]  # an interval of the trace: from_ms, to_ms, lane, readings at its end


def used(at_ms: float, cpu_ms: float, run_queue_ms: float = 0.0) -> Rates:
    """Return the readings at one time: totals since the thread began."""
    return {TID: ThreadRates(SchedStat(int(at_ms * MS), int(cpu_ms * MS), int(run_queue_ms * MS), 1))}


START: Step = (-100, 0, lane(UNKNOWN), used(-20, 1000))


def percent(*intervals: Step) -> float | None:
    """Return the share after these intervals."""
    stalls = ThreadStalls()
    for from_ms, to_ms, its_lane, rates in intervals:
        stalls.update(Trace(from_ms * MS, to_ms * MS, (its_lane,)), rates)
    return stalls.percent([THREAD]).get((0, 1))


def test_stalled_is_time_with_work_less_cpu_and_run_queue() -> None:
    """With work for 250 + 300 ms of 1,000; on a CPU for 10 %, in the run queue for 5 %."""
    found = percent(
        START,
        (0, 500, lane(WAITING, (100, READING), (200, HANDLING), (350, WAITING)), used(480, 1030, 10)),
        (500, 1000, lane(WAITING, (600, HANDLING), (900, QUEUE)), used(980, 1100, 50)),
    )
    assert found == pytest.approx(55 - 10 - 5)


def test_a_state_lasts_beyond_the_end_of_an_interval() -> None:
    found = percent(
        START, (0, 600, lane(HANDLING), used(500, 1100)), (600, 1200, lane(HANDLING), used(1180, 1600))
    )
    assert found == pytest.approx(100 - 50)


def test_blocked_and_idle_time_is_no_wait_for_the_gil() -> None:
    found = percent(
        START,
        (0, 500, lane(BLOCKED), used(480, 1000)),
        (500, 1000, lane(BLOCKED, (800, WAITING)), used(980, 1000)),
    )
    assert found == 0.0


def test_it_is_never_below_0() -> None:
    assert percent(START, (0, 1000, lane(WAITING), used(980, 1050))) == 0.0


def test_only_the_last_second_counts() -> None:
    busy, idle = lane(HANDLING), lane(WAITING)
    steps = [(at, at + 500, busy if at < 2000 else idle, used(at + 500, 1000)) for at in range(0, 4000, 500)]
    assert percent(START, *steps[:4]) == pytest.approx(100)
    assert percent(START, *steps[:5]) == pytest.approx(50)
    assert percent(START, *steps) == 0.0


BUSY = (0, 500, lane(HANDLING), used(480, 1000)), (500, 1000, lane(HANDLING), used(980, 1000))
UNKNOWN_IF = {
    "less than a second was traced": BUSY,
    "its state is unknown": [START, BUSY[0], (500, 1000, lane(UNKNOWN, (800, WAITING)), used(980, 1000))],
    "there is a gap in an interval": [
        START,
        (0, 500, lane(HANDLING, (100, GAP), (200, HANDLING)), used(480, 1000)),
        BUSY[1],
    ],
    "there is a gap between intervals": [START, BUSY[0], (600, 1200, lane(HANDLING), used(1180, 1000))],
    "its slot had another thread": [START, (0, 500, Lane(0, 2, HANDLING, 0, []), used(480, 1)), BUSY[1]],
    "its totals were not read": [(*START[:3], {}), *BUSY],
    "its totals were not read again": [START, (0, 1000, lane(HANDLING), START[3])],
    "the kernel does not count": [(*START[:3], used(-20, 0)), (0, 1000, lane(HANDLING), used(980, 0))],
}


@pytest.mark.parametrize("intervals", UNKNOWN_IF.values(), ids=UNKNOWN_IF)
def test_it_is_unknown_if(intervals: Sequence[Step]) -> None:
    assert percent(START, *BUSY) == 100
    assert percent(*intervals) is None


def test_a_thread_that_began_in_the_window_is_known_after_a_second() -> None:
    began = [
        (*START[:3], {}),
        (0, 500, lane(ENDED, (400, HANDLING)), used(480, 50)),
        (500, 1000, lane(HANDLING), used(980, 100)),
    ]
    assert percent(*began) is None
    assert percent(*began, (1000, 1500, lane(HANDLING), used(1480, 250))) == pytest.approx(80)
