"""The worker pool: a worker publishes its counters before it blocks, whatever the other workers do."""

from __future__ import annotations

from queue import Empty
from types import SimpleNamespace
from typing import Any, cast

from engines.common.worker_pool import WorkerPool


class Row:
    """A row that counts how often it is published."""

    trace_wanted = (0,)
    tracing = 0
    published = 0

    def publish(self) -> None:
        self.published += 1


class EmptiedByAnother:
    """A queue whose only item is taken between `empty()` and the attempt to take it."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def empty(self) -> bool:
        return False

    def get_nowait(self) -> None:
        raise Empty

    def get(self) -> None:
        assert self.row.published == 1, "it blocks with counters that are not published"


def test_a_worker_whose_item_is_taken_by_another_publishes_before_it_blocks() -> None:
    row = Row()
    setup = SimpleNamespace(board=SimpleNamespace(words=[]), knobs=SimpleNamespace(queue=1))
    pool = WorkerPool(cast(Any, setup), cast(Any, row), cast(Any, None))
    pool._queue = cast(Any, EmptiedByAnother(row))
    assert pool.take(cast(Any, row)) is None
    assert row.published == 1
