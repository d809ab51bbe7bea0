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

from engines.common.board.board import C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING
from engines.common.board.row import BoardRow
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.handler import handle_pending
from engines.common.mailbox import Mailbox
from engines.completion_io.completion_queue import CompletionQueue
from engines.completion_io.connection import CompletionConnection
from engines.completion_io.ring import RECEIVED, Completion, why_unavailable
from engines.completion_io.ring_group import run_rings
from engines.completion_io.worker_pool import CompletionWorkerPool


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread and each other on its own until told to stop."""
    run_rings(Proactor, listener, setup)


class Proactor:
    """One ring: wait for completions, handle them, submit what follows. A ring belongs to the thread it is born in."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        self.setup, self.row = setup, row
        self.words = setup.board.words
        self.mailbox = Mailbox()  # for other threads that have something for this one

    def run(self, on_started: Callable[[], object]) -> None:
        self.sockets = CompletionQueue(self.setup, self.row, self.mailbox)
        self.pool = CompletionWorkerPool(self.setup, self.row, self.mailbox, self.sockets)
        on_started()
        while self.sockets.alive:
            self.row.mark[STATE] = WAITING
            self.handle(self.sockets.wait())
            self.sockets.sweep()
        self.pool.stop()
        self.sockets.shutdown()

    def handle(self, complete: list[Completion]) -> None:
        """A round of completions: what was received is dispatched, what was sent makes room for the next answer."""
        mark, row, sockets = self.row.mark, self.row, self.sockets
        for completion in complete:
            connection = completion.user_data
            if isinstance(connection, CompletionConnection):
                mark[STATE] = READING
                if completion.kind == RECEIVED:
                    connection.received(completion, row)
                else:
                    connection.sent(completion, row)
                if connection.pending and not (
                    connection.unsent or connection.with_worker or connection.lost
                ):
                    self.dispatch(connection)
                sockets.update(connection)
            else:
                sockets.run_callback(completion)

    def dispatch(self, connection: CompletionConnection) -> None:
        """Handle what the peer has asked for, here or by a worker; one answer of a peer is in flight at a time."""
        if self.setup.knobs.workers:
            return self.pool.submit(connection)
        self.row.mark[STATE] = HANDLING
        self.words[connection.fd] = connection.tag | C_HANDLING
        response, request = handle_pending(connection.pending, self.setup.handler, self.row)
        self.row.mark[STATE] = WRITING
        self.sockets.send(connection, response, request)


MODEL = Model(
    name="proactor",
    title="Proactor",
    order=5,
    aliases=("completion-based I/O", "io_uring"),
    summary="I/O is submitted beforehand and done by the kernel; a thread handles what is complete.",
    roles=(
        Role("ring", "ring", "submits accept, recv and send, and handles completions", ("rings",)),
        Role(
            "worker", "worker", "handles requests of its ring and posts the responses", ("rings", "workers")
        ),
    ),
    knobs=(
        Knob("rings", 1, "Rings, each with its own thread; the first accepts for all.", 1, 16, "threads"),
        Knob("workers", 0, "Workers of each ring; 0 runs handlers inline.", 0, 256, "threads"),
        Knob("buffers", 1024, "Receive buffers of each ring; rounded up to a power of two.", 1, 16384),
        Knob("buffer_size", 4096, "Size of each receive buffer.", 64, 65536, "bytes"),
        Knob("queue", 1024, "Queued requests; at the limit the ring stops reading.", 1, 65536),
    ),
    why_unavailable=why_unavailable,
)
