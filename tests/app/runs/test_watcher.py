"""The watcher: samples, series and edges of the measured window follow from the readings."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.fleet.engine import Engine
from app.load.protocol.meter import DRAIN, MEASURE, WARMUP, MeterReading
from app.machine.accept_queue import AcceptQueue
from app.machine.cpu_placement import Placement
from app.machine.proc import ProcessReading
from app.results import evidence
from app.results.observation import DepthSamples, Observation
from app.runs.watcher import Watcher
from app.runs.window_samples import MANY_THREADS
from engines.common.board.board import ENDED, HANDLING, WAITING

CALLS = 100
MEASURING = MeterReading(phase=MEASURE, started_ns=1, measured_from_ns=1, at_ns=2)
SECOND_NS = 10**9


def fake_engine(threads: int, states: list[int]) -> Engine:
    """Return an engine with this number of threads; each sample has the next of `states` for all of them."""
    rows = tuple(SimpleNamespace(role="worker", slot=slot) for slot in range(threads))
    board = SimpleNamespace(
        read=lambda: SimpleNamespace(threads=rows, connections_total=8, queue_depth=2),
        states=lambda: [states.pop(0)] * threads,
        roles=lambda: ["worker"] * threads,
    )
    return cast(
        Engine,
        SimpleNamespace(
            board=board,
            alive=True,
            is_external=False,
            pids=(),
            read_process=lambda: None,
            read_switches=lambda: None,
            read_accept_queue=lambda: None,
            read_each_process=lambda: (),
        ),
    )


@pytest.mark.parametrize(("threads", "samples"), [(MANY_THREADS, CALLS), (MANY_THREADS + 1, CALLS // 10)])
def test_many_threads_are_sampled_every_tenth_time(threads: int, samples: int) -> None:
    states = [WAITING] * CALLS
    watcher = Watcher(fake_engine(threads, states), lambda: None)
    for _ in range(CALLS):
        watcher.sample(MEASURING)
    assert watcher.window.count == samples == CALLS - len(states)
    assert watcher.window.occupancy() == {"worker": 0.0}


def test_the_occupancy_of_a_role_is_the_share_of_samples_with_work() -> None:
    watcher = Watcher(fake_engine(4, [HANDLING, WAITING, HANDLING, ENDED, HANDLING]), lambda: None)
    for _ in range(5):
        watcher.sample(MEASURING)
    assert watcher.window.occupancy() == {"worker": 0.75}, "the thread had ended at the fourth sample"


def test_the_accept_queue_is_sampled_at_each_look_also_with_many_threads() -> None:
    watcher = Watcher(fake_engine(MANY_THREADS + 1, [WAITING]), lambda: None)
    depths = [3, 0, 5]
    cast(Any, watcher.engine).read_accept_queue = lambda: AcceptQueue(depths.pop(0), 128, 1)
    for phase in (WARMUP, MEASURE, MEASURE, MEASURE, DRAIN):
        watcher.sample(replace(MEASURING, phase=phase))
    assert watcher.window.accept_queue == DepthSamples(count=3, total=8, peak=5)


def test_without_readings_of_the_accept_queue_there_are_no_samples() -> None:
    watcher = Watcher(fake_engine(1, [WAITING]), lambda: None)
    watcher.sample(MEASURING)
    assert watcher.window.accept_queue == DepthSamples()


def test_a_reused_slot_counts_for_the_role_of_its_new_thread() -> None:
    watcher = Watcher(fake_engine(1, [HANDLING] * 4), lambda: None)
    board = cast(Any, watcher.engine.board)
    for second, role in enumerate(("worker", "worker", "acceptor", "acceptor")):
        board.roles = lambda role=role: [role]
        watcher.sample(replace(MEASURING, at_ns=2 + second * SECOND_NS))
    assert watcher.window.occupancy().keys() == {"worker", "acceptor"}


def test_the_series_has_a_row_at_the_start_of_each_second_and_of_each_phase() -> None:
    watcher = Watcher(fake_engine(1, [1] * 100), lambda: None)
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
            watcher.sample(now)
            if len(watcher.series) > before:
                points.append(at_s)
    assert points == [0.0, 1.0, 2.0, 3.1, 3.2]
    assert watcher.in_flight == [0, 3, 5], "once per measured second"
    assert {(each.connections, each.threads, each.queue_depth) for each in watcher.series} == {(8, 4, 2)}
    assert (watcher.threads_peak, watcher.rss_peak) == (4, 10**7)


def test_the_edges_of_the_measured_window_are_read_once_and_the_first_is_reported() -> None:
    calls: list[str] = []
    watcher = Watcher(fake_engine(1, [1] * 100), lambda: calls.append("measuring"))
    for phase in (WARMUP, MEASURE, MEASURE, DRAIN, DRAIN):
        before = (watcher.first, watcher.last)
        watcher.sample(
            MeterReading(phase=phase, started_ns=1, measured_from_ns=5 if phase != WARMUP else 0, at_ns=6)
        )
        assert before[0] in (None, watcher.first) and before[1] in (None, watcher.last), (
            "an edge never changes"
        )
        assert (watcher.first is not None, watcher.last is not None) == (phase != WARMUP, phase == DRAIN)
    assert calls == ["measuring"]
    assert [text for _, text in watcher.events] == ["warm-up ends"]


def test_an_engine_without_pinning_may_use_the_cpus_of_the_lab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    edges = [SimpleNamespace(process=SimpleNamespace(at_ns=s * 10**9, cpu_ns=s * 10**9)) for s in (5, 6)]
    observation = Observation(
        "reactor-1", "reactor", "Reactor", first=cast(Any, edges[0]), last=cast(Any, edges[1])
    )
    assert evidence._engine_cpu_share([observation], Placement("shared", None, None)) == 0.5
