"""What the lab says it has seen of an engine during a run is what it has looked at."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.fleet.engine import Engine
from app.load.protocol.meter import DRAIN, MEASURE, WARMUP, MeterReading
from app.machine.cpu_placement import Placement
from app.machine.proc import ProcessReading
from app.results import evidence
from app.results.observation import Observation
from app.runs.watcher import FEW_ROWS, Watcher
from engines.common.board.board import ENDED, HANDLING, WAITING

CHANCES = 100
MEASURING = MeterReading(phase=MEASURE, started_ns=1, measured_from_ns=1, at_ns=2)
SECOND_NS = 10**9


def engine_of(threads: int, states: list[int]) -> Engine:
    """One whose board has so many threads; each look at them takes the next of `states`, for all of them."""
    rows = tuple(SimpleNamespace(role="worker", slot=slot) for slot in range(threads))
    board = SimpleNamespace(
        read=lambda: SimpleNamespace(threads=rows, connections={"idle": 3, "handling": 5}, queue_depth=2),
        states=lambda: [states.pop(0)] * threads,
        roles=lambda: ["worker"] * threads,
    )
    return cast(
        Engine,
        SimpleNamespace(
            board=board, alive=True, pids=(), read_process=lambda: None, read_switches=lambda: None
        ),
    )


@pytest.mark.parametrize(("threads", "looks"), [(FEW_ROWS, CHANCES), (FEW_ROWS + 1, CHANCES // 10)])
def test_looks_are_those_that_were_taken(threads: int, looks: int) -> None:
    states = [WAITING] * CHANCES
    watcher = Watcher(engine_of(threads, states), lambda: None)
    for _ in range(CHANCES):
        watcher.look(MEASURING)
    assert watcher.looks == looks == CHANCES - len(states)
    assert watcher.occupancy == {"worker": 0.0}


def test_a_role_is_occupied_for_the_share_of_looks_at_which_its_threads_were() -> None:
    watcher = Watcher(engine_of(4, [HANDLING, WAITING, HANDLING, ENDED, HANDLING]), lambda: None)
    for _ in range(5):
        watcher.look(MEASURING)
    assert watcher.occupancy == {"worker": 0.75}, "at the fourth look there was no thread"


def test_a_slot_that_another_thread_has_taken_is_looked_at_as_that_one() -> None:
    watcher = Watcher(engine_of(1, [HANDLING] * 4), lambda: None)
    board = cast(Any, watcher.engine.board)
    for second, role in enumerate(("worker", "worker", "acceptor", "acceptor")):
        board.roles = lambda role=role: [role]
        watcher.look(replace(MEASURING, at_ns=2 + second * SECOND_NS))
    assert watcher.occupancy.keys() == {"worker", "acceptor"}


def test_there_is_a_point_of_the_series_at_the_beginning_of_each_second_and_of_each_phase() -> None:
    watcher = Watcher(engine_of(1, [1] * 100), lambda: None)
    engine = cast(Any, watcher.engine)
    engine.read_process = lambda: ProcessReading(len(watcher.series) * SECOND_NS, 0, 0, 0, 4, 10**7, 10**6)
    started_ns = 10 * SECOND_NS
    phases = {WARMUP: (0.0, 0.9), MEASURE: (1.0, 1.3, 1.98, 2.0, 2.7, 3.1), DRAIN: (3.2, 3.3)}
    points = []
    for phase, times in phases.items():
        for number, at_s in enumerate(times):
            now = MeterReading(
                phase=phase,
                started_ns=started_ns,
                at_ns=started_ns + int(at_s * SECOND_NS),
                in_flight=number,
                measured_from_ns=started_ns + SECOND_NS if phase != WARMUP else 0,
                measured_to_ns=started_ns + int(3.2 * SECOND_NS) if phase == DRAIN else 0,
            )
            before = len(watcher.series)
            watcher.look(now)
            if len(watcher.series) > before:
                points.append(at_s)
    assert points == [0.0, 1.0, 2.0, 3.1, 3.2]
    assert watcher.in_flight == [0, 3, 5], "once in each measured second"
    assert {(each.connections, each.threads, each.queue_depth) for each in watcher.series} == {(8, 4, 2)}
    assert (watcher.threads_peak, watcher.rss_peak) == (4, 10**7)


def test_the_edges_of_the_measured_window_are_taken_once_and_the_lab_hears_of_the_first() -> None:
    heard: list[str] = []
    watcher = Watcher(engine_of(1, [1] * 100), lambda: heard.append("measuring"))
    for phase in (WARMUP, MEASURE, MEASURE, DRAIN, DRAIN):
        before = (watcher.first, watcher.last)
        watcher.look(
            MeterReading(phase=phase, started_ns=1, measured_from_ns=5 if phase != WARMUP else 0, at_ns=6)
        )
        assert before[0] in (None, watcher.first) and before[1] in (None, watcher.last), "an edge never moves"
        assert (watcher.first is not None, watcher.last is not None) == (phase != WARMUP, phase == DRAIN)
    assert heard == ["measuring"]
    assert [text for _, text in watcher.happened] == ["warm-up ends"]


def test_an_engine_that_is_not_pinned_has_the_cpus_that_the_lab_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    edges = [SimpleNamespace(process=SimpleNamespace(at_ns=s * 10**9, cpu_ns=s * 10**9)) for s in (5, 6)]
    seen = Observation("reactor-1", "reactor", "Reactor", first=cast(Any, edges[0]), last=cast(Any, edges[1]))
    assert evidence._engine_cpu_share([seen], Placement("shared", None, None)) == 0.5
