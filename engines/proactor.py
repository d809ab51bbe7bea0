"""Proactor: completion, not readiness.

    ring thread      submit ──> wait ──> accepted ──> submit recv
                       ^          ├────> received ──> handle ──> submit send ──┐
                       │          └────> sent                                  │
                       └───────────────────────────────────────────────────────┘
    worker threads   (workers > 0)       take a peer ──> handle ──> post the answer back

A reactor is told that it may read, and reads. A proactor has asked beforehand and is told what was read: the kernel
does the I/O (io_uring; accept and recv are asked for once and complete many times, into buffers that all peers
share), and one system call submits a whole round of answers. Watch I/O calls per request fall far below one under
load. The thread is still one: without workers, a slow handler stalls its ring as it does a reactor.
"""

from __future__ import annotations

import socket
from threading import Barrier
from typing import TYPE_CHECKING

from engines.common.answer import answer_some
from engines.common.board import C_HANDLING, C_QUEUED, HANDLING, QUEUE, READING, STATE, WAITING, WRITING, Row
from engines.common.completion_peer import CompletionPeer
from engines.common.completion_queue import CompletionQueue
from engines.common.completion_rings import accept_for_all
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.http import Request
from engines.common.mailbox import Mailbox
from engines.common.pool import Pool
from engines.common.ring import RECEIVED, why_unavailable
from engines.common.threads import start_thread

if TYPE_CHECKING:
    from uring_api import Completion


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread and each other on its own until told to stop."""
    first, *others = rings = [Proactor(setup, setup.board.claim("ring", i), i) for i in range(setup.knobs.rings)]
    setup.board.enter(first.row)
    up = Barrier(len(rings))
    threads = [start_thread(setup.board, ring.row, ring.run, up) for ring in others]
    first.run(up, listener, rings)
    for thread in threads:
        thread.join()


class Proactor:
    """One ring: wait for completions, handle them, submit what follows. A ring belongs to the thread it is born in."""

    def __init__(self, setup: Setup, row: Row, index: int) -> None:
        self.setup, self.row, self.index = setup, row, index
        self.words = setup.board.words
        self.mailbox = Mailbox()  # for other threads that have something for this one
        self.pool = Pool(setup, row, self.mailbox)
        self.pooled = setup.knobs.workers > 0

    def run(self, up: Barrier, listener: socket.socket | None = None, rings: list[Proactor] | None = None) -> None:
        self.sockets = CompletionQueue(self.setup, self.row)
        self.sockets.watch(self.mailbox.fd, self.mailbox.run_all)
        self.pool.start(self.work, self.index * self.setup.knobs.workers)
        up.wait()
        if listener and rings:
            accept_for_all(rings, listener, self.setup)
            self.setup.ready()
        self.loop()
        self.pool.stop()
        self.sockets.end()

    def loop(self) -> None:
        mark, sockets = self.row.cells, self.sockets
        while sockets.alive:
            mark[STATE] = WAITING
            self.handle(sockets.wait())
            sockets.sweep()

    def handle(self, complete: list[Completion]) -> None:
        """A round of completions: what was received is dispatched, what was sent makes room for the next answer."""
        mark, row, sockets, dispatch = self.row.cells, self.row, self.sockets, self.dispatch
        for completion in complete:
            peer = completion.user_data
            if isinstance(peer, CompletionPeer):
                if completion.kind == RECEIVED:
                    mark[STATE] = READING
                    peer.received(completion, row)
                else:
                    peer.sent(completion, row)
                if peer.todo:
                    dispatch(peer)
                sockets.rest(peer)
            else:
                sockets.call(completion)

    def dispatch(self, peer: CompletionPeer) -> None:
        """Handle what the peer has asked for, here or by a worker; one answer of a peer is in flight at a time."""
        mark, words = self.row.cells, self.words
        if peer.outbox or peer.handed_on or peer.lost:
            return
        if self.pooled:
            peer.handed_on = True
            words[peer.fd] = peer.tag | C_QUEUED
            self.pool.put(peer, self.row)
        else:
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(peer.todo, self.setup.handle, self.row)
            mark[STATE] = WRITING
            self.sockets.send(peer, answer)
            if not request.keep_alive:
                peer.last(request)

    def work(self, row: Row) -> None:
        """Worker threads: take a peer, handle its next request, post the answer: only the ring's thread submits."""
        mark, words = row.cells, self.setup.board.words
        mark[STATE] = QUEUE
        while peer := self.pool.take(row):
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            request = peer.todo.pop(0)
            self.pool.post(row, self.reply, peer, request, self.setup.handle(request, row))
            mark[STATE] = QUEUE

    def reply(self, peer: CompletionPeer, request: Request, answer: bytes) -> None:
        """Ring thread: a worker has answered."""
        peer.handed_on = False
        if not peer.lost:
            self.sockets.send(peer, answer)
            if not request.keep_alive:
                peer.last(request)
        self.sockets.rest(peer)


MODEL = Model(
    name="proactor",
    title="Proactor",
    order=5,
    aliases=("completion-based I/O", "io_uring"),
    summary="I/O is submitted beforehand and done by the kernel; a thread handles what is complete.",
    roles=(
        Role("ring", "ring", "submits accept, recv and send; handles what is complete", "the pass: others carry"),
        Role("worker", "worker", "takes a request of its ring, handles it, posts the answer back", "the cooks"),
    ),
    knobs=(
        Knob("rings", 1, "Rings, each with its own thread and peers; the first accepts for all.", 1, 16, "threads"),
        Knob("workers", 0, "Workers of each ring; 0: it runs the handlers itself.", 0, 256, "threads"),
        Knob("buffers", 1024, "Receive buffers that a ring's peers share; rounded up to a power of two.", 1, 16384),
        Knob("buffer_size", 4096, "Size of each receive buffer.", 64, 65536, "bytes"),
        Knob("queue", 1024, "Requests waiting for a worker; beyond them the ring stops reading.", 1, 65536),
    ),
    pros=(
        "Fewer system calls than requests: one submits and reaps for many peers.",
        "A buffer is held only while there is data in it, not while a peer is silent.",
        "The same shape for sockets and files.",
    ),
    cons=(
        "What is in flight must be kept, cancelled and reaped: ends are harder than beginnings.",
        "Without workers, one slow handler stalls its ring.",
        "A recent Linux is needed, and many containers refuse io_uring.",
    ),
    used_by=(
        "Windows IOCP servers",
        "Boost.Asio on Windows",
        "Seastar and ScyllaDB (io_uring backend)",
        "glommio, Monoio",
    ),
    why_unavailable=why_unavailable,
)
