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

from engines.common.board.board import C_IDLE, C_QUEUED, INDEX, OTHER_CALLS, QUEUE_HIGH_WATER, Row
from engines.common.connection import AHEAD_BYTES, Peer
from engines.common.contract import Setup
from engines.common.mailbox import Mailbox
from engines.common.process.threads import start_thread

STALE_NS = 20_000_000  # how old the counters may be of a worker that never finds the queue empty
PIPELINED_MAX = 128  # requests of one peer read ahead of its turn
JOIN_S = 0.1  # what workers have to end when nothing is left to do
REPLIES = ("worker", "reactor")  # who writes an answer


class Pool:
    """Workers and their queue, behind one loop. `held` waits where the queue is full: nothing is dropped."""

    def __init__(self, setup: Setup, row: Row, mailbox: Mailbox) -> None:
        self._setup = setup
        self._row = row
        self._mailbox = mailbox
        self._words = setup.board.words
        self._queue: SimpleQueue[Peer | None] = SimpleQueue()
        self._limit = int(setup.knobs.queue)
        self._held: deque[Peer] = deque()
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[Row], None]) -> None:
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
        ends_s = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(
                max(0.0, ends_s - time.monotonic())
            )  # one still in a handler after the grace is left behind

    def turn(self, peer: Peer) -> bool:
        """Try to take the peer's turn; False if somebody else has it."""
        if peer.turn is None:
            peer.turn = threading.Lock()
        return peer.turn.acquire(blocking=False)

    def too_far_ahead(self, peer: Peer) -> bool:
        """Whether no more of its requests should be read until its turn comes."""
        ahead_bytes = sum(len(request.body) for request in tuple(peer.todo))
        if len(peer.todo) > PIPELINED_MAX or ahead_bytes > AHEAD_BYTES:
            peer.unsettled = True
        return peer.unsettled

    def give_back(self, peer: Peer) -> None:
        """Let the next one have the turn."""
        assert peer.turn is not None
        peer.turn.release()

    def finish(self, peer: Peer) -> None:
        """A worker has answered all there is: from here on the peer may be idle."""
        peer.since_s = time.monotonic()
        self._words[peer.fd] = peer.tag | C_IDLE
        self.give_back(peer)

    def put(self, peer: Peer, row: Row) -> None:
        """Whoever has the turn: queue the peer, or hold it while the queue is full."""
        peer.queued_ns = time.monotonic_ns()
        self._words[peer.fd] = peer.tag | C_QUEUED
        self._enqueue(peer, row)

    def _enqueue(self, peer: Peer, row: Row) -> None:
        depth = self._queue.qsize()
        if depth >= self._limit:
            self._held.append(peer)
            if self._queue.qsize() < self._limit:  # emptied meanwhile, by workers that saw nobody held
                self._mailbox.post(self._refill)
            return
        row.queue_pushes += 1
        if depth >= row.tally[QUEUE_HIGH_WATER]:
            row.tally[QUEUE_HIGH_WATER] = depth + 1
        self._queue.put(peer)

    def take(self, row: Row) -> Peer | None:
        """Worker threads: wait for a peer; None when it is time to end."""
        if self._queue.empty():
            row.publish()  # once per wake-up, as a loop does
        peer = self._queue.get()
        if row.wanted[0] != row.tracing:
            row.turn()
        if peer is None:
            return None
        now_ns = time.monotonic_ns()
        row.queued(now_ns - peer.queued_ns)
        if now_ns >= row.stale_at_ns:
            row.publish()
            row.stale_at_ns = now_ns + STALE_NS
        if self._held:
            self.post(row, self._refill)
        return peer

    def post(self, row: Row, call: Callable[..., None], *args: Any) -> None:
        """Worker threads: leave a call for the loop, and count the system call if its bell had to be rung."""
        row.tally[OTHER_CALLS] += self._mailbox.post(call, *args)

    def _refill(self) -> None:
        while self._held and self._queue.qsize() < self._limit:
            self._enqueue(self._held.popleft(), self._row)
