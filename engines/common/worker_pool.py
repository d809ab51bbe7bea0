"""The worker pool: a bounded queue of peers whose next request waits for a worker.

A peer has one *turn*. Whoever holds it answers the peer, so at most one of its requests is with the workers
and pipelined answers keep their order, although any worker may take any peer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from engines.common.board.board import C_IDLE, C_QUEUED, INDEX, OTHER_CALLS, QUEUE_HIGH_WATER
from engines.common.board.row import BoardRow
from engines.common.connection import READ_AHEAD_BYTES, Connection
from engines.common.contract import Setup
from engines.common.mailbox import Mailbox
from engines.common.process.threads import start_thread

PUBLISH_INTERVAL_NS = 20_000_000  # how old the counters may be of a worker that never finds the queue empty
PIPELINED_MAX = 128  # requests of one peer read ahead of its turn
JOIN_TIMEOUT_S = 0.1  # what workers have to end when nothing is left to do
REPLY_CHOICES = ("worker", "reactor")  # who writes an answer


class WorkerPool:
    """Workers and their queue, behind one loop. `held` waits where the queue is full: nothing is dropped."""

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox) -> None:
        self._setup = setup
        self._row = row
        self._mailbox = mailbox
        self._words = setup.board.words
        self._queue: SimpleQueue[Connection | None] = SimpleQueue()
        self._limit = int(setup.knobs.queue)
        self._overflow: deque[Connection] = deque()
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[BoardRow], None]) -> None:
        """Start the workers; those of the second loop are numbered on from those of the first."""
        workers = self._setup.knobs.workers
        first = self._row.cells[INDEX] * workers
        for index in range(first, first + workers):
            row = self._setup.board.claim("worker", index)
            self._threads.append(start_thread(self._setup.board, row, work, row))

    def stop(self) -> None:
        """Loop thread only, once every peer is gone: let the workers end."""
        for _ in self._threads:
            self._queue.put(None)
        ends_s = time.monotonic() + JOIN_TIMEOUT_S
        for thread in self._threads:
            thread.join(
                max(0.0, ends_s - time.monotonic())
            )  # one still in a handler after the grace is left behind

    def try_lock(self, connection: Connection) -> bool:
        """Try to take the peer's turn; False if somebody else has it."""
        if connection.lock is None:
            connection.lock = threading.Lock()
        return connection.lock.acquire(blocking=False)

    def must_pause_reading(self, connection: Connection) -> bool:
        """Whether no more of its requests should be read until its turn comes."""
        ahead_bytes = sum(len(request.body) for request in tuple(connection.pending))
        if len(connection.pending) > PIPELINED_MAX or ahead_bytes > READ_AHEAD_BYTES:
            connection.needs_update = True
        return connection.needs_update

    def unlock(self, connection: Connection) -> None:
        """Let the next one have the turn."""
        assert connection.lock is not None
        connection.lock.release()

    def finish(self, connection: Connection) -> None:
        """A worker has answered all there is: from here on the peer may be idle."""
        connection.phase_start_s = time.monotonic()
        self._words[connection.fd] = connection.tag | C_IDLE
        self.unlock(connection)

    def put(self, connection: Connection, row: BoardRow) -> None:
        """Whoever has the turn: queue the peer, or hold it while the queue is full."""
        connection.queued_at_ns = time.monotonic_ns()
        self._words[connection.fd] = connection.tag | C_QUEUED
        self._enqueue(connection, row)

    def _enqueue(self, connection: Connection, row: BoardRow) -> None:
        depth = self._queue.qsize()
        if depth >= self._limit:
            self._overflow.append(connection)
            if self._queue.qsize() < self._limit:  # emptied meanwhile, by workers that saw nobody held
                self._mailbox.post(self._refill)
            return
        row.queue_pushes += 1
        if depth >= row.counters[QUEUE_HIGH_WATER]:
            row.counters[QUEUE_HIGH_WATER] = depth + 1
        self._queue.put(connection)

    def take(self, row: BoardRow) -> Connection | None:
        """Worker threads: wait for a peer; None when it is time to end."""
        if self._queue.empty():
            row.publish()  # once per wake-up, as a loop does
        connection = self._queue.get()
        if row.trace_wanted[0] != row.tracing:
            row.switch_trace()
        if connection is None:
            return None
        now_ns = time.monotonic_ns()
        row.count_queue_wait(now_ns - connection.queued_at_ns)
        if now_ns >= row.publish_at_ns:
            row.publish()
            row.publish_at_ns = now_ns + PUBLISH_INTERVAL_NS
        if self._overflow:
            self.post(row, self._refill)
        return connection

    def post(self, row: BoardRow, call: Callable[..., None], *args: Any) -> None:
        """Worker threads: leave a call for the loop, and count the system call if its bell had to be rung."""
        row.counters[OTHER_CALLS] += self._mailbox.post(call, *args)

    def _refill(self) -> None:
        while self._overflow and self._queue.qsize() < self._limit:
            self._enqueue(self._overflow.popleft(), self._row)
