"""The worker pool: a worker publishes its counters before it blocks, whatever the other workers do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from engines.common.worker_pool import WorkerPool


class Row:
    """A row whose `publish` queues the end of the worker, so that `take` returns."""

    trace_wanted = (0,)
    tracing = 0
    published = 0

    def __init__(self) -> None:
        setup = SimpleNamespace(board=SimpleNamespace(words=[]), knobs=SimpleNamespace(queue=1))
        self.pool = WorkerPool(cast(Any, setup), cast(Any, self), cast(Any, None))

    def publish(self) -> None:
        self.published += 1
        self.pool._queue.put(None)


def test_a_worker_that_finds_no_request_publishes_before_it_blocks() -> None:
    row = Row()
    assert row.pool.take(cast(Any, row)) is None
    assert row.published == 1
