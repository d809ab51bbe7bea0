"""What the lab says it has seen of an engine's threads is what it has looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.lab.engine import Engine
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
