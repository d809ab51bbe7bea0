"""What the lab says it has seen of an engine's threads is what it has looked at."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.lab import evidence
from app.lab.engine import Engine
from app.lab.placement import Placement
from app.lab.watcher import FEW_ROWS, Watcher
from app.load.meter import MEASURE, MeterReading

CHANCES = 100
MEASURING = MeterReading(phase=MEASURE, started_ns=1, measured_from_ns=1, at_ns=2)


def engine_of(threads: int, states: list[int]) -> Engine:
    """One whose board has so many threads; each reading of it takes the next of `states`, for all of them."""

    def read() -> Any:
        state = states.pop(0)
        rows = tuple(SimpleNamespace(role="worker", slot=slot, state=state) for slot in range(threads))
        return SimpleNamespace(threads=rows, connections={}, queue_depth=0)

    board = SimpleNamespace(read=read)
    return cast(Engine, SimpleNamespace(
        board=board, alive=True, processes=(), process=lambda: None, switches=lambda: None
    ))  # fmt: skip


@pytest.mark.parametrize(("threads", "looks"), [(FEW_ROWS, CHANCES), (FEW_ROWS + 1, CHANCES // 10)])
def test_looks_are_those_that_were_taken(threads: int, looks: int) -> None:
    states = [1] * (CHANCES + 2)  # one reading is for the edge of the window, and one for the series
    watcher = Watcher(engine_of(threads, states), lambda: None)
    for _ in range(CHANCES):
        watcher.look(MEASURING, ())
    assert watcher.looks == looks == CHANCES + 2 - len(states) - 2
    assert len(watcher.occupancy) == 1


def test_an_engine_that_is_not_pinned_has_the_cpus_that_the_lab_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    edges = [SimpleNamespace(process=SimpleNamespace(at_ns=s * 10**9, cpu_ns=s * 10**9)) for s in (5, 6)]
    watcher = Watcher(engine_of(1, []), lambda: None, first=cast(Any, edges[0]), last=cast(Any, edges[1]))
    assert evidence._engine_share([watcher], Placement("shared", None, None)) == 0.5
