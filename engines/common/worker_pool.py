"""The worker pool: a bounded queue of connections whose requests wait for a worker.

A connection has a lock. The thread that holds it responds, so at most one of its requests is with the
workers, and pipelined responses keep their order although any worker may take any connection.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, monotonic_ns
from typing import Any

from engines.common.board.board import C_IDLE, C_QUEUED, INDEX, OTHER_CALLS, QUEUE_HIGH_WATER
from engines.common.board.row import BoardRow
from engines.common.connection import READ_AHEAD_BYTES, Connection
from engines.common.contract import Setup
from engines.common.mailbox import Mailbox
from engines.common.process.threads import start_thread
from engines.common.work_queue import WorkQueue

PUBLISH_INTERVAL_NS = 20_000_000  # for a worker that never finds the queue empty
PIPELINED_MAX = 128  # requests of one connection that are read ahead
JOIN_TIMEOUT_S = 0.1  # for all workers together
REPLY_CHOICES = ("worker", "reactor")  # the thread that writes a response


class WorkerPool:
    """Workers and their queue, behind one event loop.

    When the queue is full, connections wait in `_overflow`: the loop stops reading from them, and nothing is
    dropped.
    """

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox) -> None:
        self._setup = setup
        self._row = row
        self._mailbox = mailbox
        self._words = setup.board.words
        self._queue: WorkQueue[Connection | None] = WorkQueue()
        self._limit = int(setup.knobs.queue)
        self._overflow: deque[Connection] = deque()
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[BoardRow], None]) -> None:
        """Start the workers, each running `work(row)`. Those of the second loop continue the numbering."""
        workers = self._setup.knobs.workers
        first = self._row.cells[INDEX] * workers
        for index in range(first, first + workers):
            row = self._setup.board.claim("worker", index)
            self._threads.append(start_thread(self._setup.board, row, work, row))

    def stop(self) -> None:
        """End the workers once all connections are closed. Event loop only."""
        for _ in self._threads:
            self._queue.put(None)
        self.wake()
        ends_s = monotonic() + JOIN_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, ends_s - monotonic()))  # one that is still in a handler is abandoned

    def try_lock(self, connection: Connection) -> bool:
        """Return whether the connection's lock could be taken; False if another thread holds it."""
        lock = connection.lock
        if lock is None:
            lock = connection.lock = threading.Lock()
        return lock.acquire(False)

    def must_pause_reading(self, connection: Connection) -> bool:
        """Return whether the requests read ahead of the workers reach the limit."""
        ahead_bytes = sum(len(request.body) for request in tuple(connection.pending))
        if len(connection.pending) > PIPELINED_MAX or ahead_bytes > READ_AHEAD_BYTES:
            connection.needs_update = True
        return connection.needs_update

    def unlock(self, connection: Connection) -> None:
        """Release the connection's lock."""
        assert connection.lock is not None
        connection.lock.release()

    def finish(self, connection: Connection) -> None:
        """Mark the connection idle, and release its lock: all its requests have a response."""
        connection.phase_start_s = monotonic()
        self._words[connection.fd] = connection.tag | C_IDLE
        self.unlock(connection)

    def put(self, connection: Connection, row: BoardRow) -> None:
        """Queue a connection whose lock the caller holds; it waits while the queue is full.

        The caller is the loop, which calls `wake` after its round of events, or a worker, which calls `take`.
        """
        connection.queued_at_ns = monotonic_ns()
        self._words[connection.fd] = connection.tag | C_QUEUED
        depth = len(self._queue)
        if depth >= self._limit:
            self._overflow.append(connection)
            if len(self._queue) < self._limit:  # workers have emptied it meanwhile, and saw no overflow
                self._mailbox.post(self._refill)
            return
        row.queue_pushes += 1
        if depth >= row.counters[QUEUE_HIGH_WATER]:
            row.counters[QUEUE_HIGH_WATER] = depth + 1
        self._queue.put(connection)

    def wake(self) -> None:
        """Wake a worker if connections are queued. Event loop only, after each round of events."""
        self._queue.wake()

    def take(self, row: BoardRow) -> Connection | None:
        """Block until a connection is queued and return it; None when the worker must end. Worker threads."""
        connection = self._queue.take(row.publish)  # a worker that waits has nothing unpublished
        if row.trace_wanted[0] != row.tracing:
            row.switch_trace()
        if connection is None:
            return None
        now_ns = monotonic_ns()
        row.count_queue_wait(now_ns - connection.queued_at_ns)
        if now_ns >= row.publish_at_ns:
            row.publish()
            row.publish_at_ns = now_ns + PUBLISH_INTERVAL_NS
        if self._overflow:
            self.post(row, self._refill)
        return connection

    def post(self, row: BoardRow, call: Callable[..., None], *args: Any) -> None:
        """Post a call to the loop, and count the system call if the loop had to be woken. Worker threads."""
        row.counters[OTHER_CALLS] += self._mailbox.post(call, *args)

    def _refill(self) -> None:
        while self._overflow and len(self._queue) < self._limit:
            self._row.queue_pushes += 1
            self._queue.put(self._overflow.popleft())
