"""Proactor: completion, not readiness.

    ring thread      submit ──> wait ──> accepted ──> submit recv
                       ^          ├────> received ──> handle ──> submit send ──┐
                       │          └────> sent                                  │
                       └───────────────────────────────────────────────────────┘
    worker threads   (workers > 0)       take a peer ──> handle ──> post the answer back

A reactor is told that it may read, and reads. A proactor has asked beforehand and is told what was read: the kernel
does the I/O (io_uring: one accept and one recv complete many times, into buffers that all peers share), and one
system call submits a whole round of answers. Watch I/O calls per request fall far below one under load.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from engines.common.board.board import C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING, Row
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.http.responses import answer_some
from engines.common.mailbox import Mailbox
from engines.completion_io.completion_queue import CompletionQueue
from engines.completion_io.connection import CompletionPeer
from engines.completion_io.ring import RECEIVED, Completion, why_unavailable
from engines.completion_io.rings import run_rings
from engines.completion_io.worker_pool import CompletionPool


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread and each other on its own until told to stop."""
    run_rings(Proactor, listener, setup)


class Proactor:
    """One ring: wait for completions, handle them, submit what follows. A ring belongs to the thread it is born in."""

    def __init__(self, setup: Setup, row: Row) -> None:
        self.setup, self.row = setup, row
        self.words = setup.board.words
        self.mailbox = Mailbox()  # for other threads that have something for this one

    def run(self, born: Callable[[], object]) -> None:
        self.sockets = CompletionQueue(self.setup, self.row, self.mailbox)
        self.pool = CompletionPool(self.setup, self.row, self.mailbox, self.sockets)
        born()
        while self.sockets.alive:
            self.row.mark[STATE] = WAITING
            self.handle(self.sockets.wait())
            self.sockets.sweep()
        self.pool.stop()
        self.sockets.end()

    def handle(self, complete: list[Completion]) -> None:
        """A round of completions: what was received is dispatched, what was sent makes room for the next answer."""
        mark, row, sockets = self.row.mark, self.row, self.sockets
        for completion in complete:
            peer = completion.user_data
            if isinstance(peer, CompletionPeer):
                mark[STATE] = READING
                if completion.kind == RECEIVED:
                    peer.received(completion, row)
                else:
                    peer.sent(completion, row)
                if peer.todo and not (peer.outbox or peer.handed_on or peer.lost):
                    self.dispatch(peer)
                sockets.rest(peer)
            else:
                sockets.call(completion)

    def dispatch(self, peer: CompletionPeer) -> None:
        """Handle what the peer has asked for, here or by a worker; one answer of a peer is in flight at a time."""
        if self.setup.knobs.workers:
            return self.pool.hand_on(peer)
        self.row.mark[STATE] = HANDLING
        self.words[peer.fd] = peer.tag | C_HANDLING
        answer, request = answer_some(peer.todo, self.setup.handler, self.row)
        self.row.mark[STATE] = WRITING
        self.sockets.send(peer, answer, request)


MODEL = Model(
    name="proactor",
    title="Proactor",
    order=5,
    aliases=("completion-based I/O", "io_uring"),
    summary="I/O is submitted beforehand and done by the kernel; a thread handles what is complete.",
    roles=(
        Role(
            "ring",
            "ring",
            "submits accept, recv and send; handles what is complete",
            "the pass: others carry",
        ),
        Role(
            "worker", "worker", "takes a request of its ring, handles it, posts the answer back", "the cooks"
        ),
    ),
    knobs=(
        Knob(
            "rings",
            1,
            "Rings, each with its own thread and peers; the first accepts for all.",
            1,
            16,
            "threads",
        ),
        Knob("workers", 0, "Workers of each ring; 0: it runs the handlers itself.", 0, 256, "threads"),
        Knob(
            "buffers",
            1024,
            "Receive buffers that a ring's peers share; rounded up to a power of two.",
            1,
            16384,
        ),
        Knob("buffer_size", 4096, "Size of each receive buffer.", 64, 65536, "bytes"),
        Knob("queue", 1024, "Requests waiting for a worker; beyond them the ring stops reading.", 1, 65536),
    ),
    why_unavailable=why_unavailable,
)
