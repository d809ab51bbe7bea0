"""Proactor: completion, not readiness.

    ring thread      submit ──> wait ──> accepted ──> submit recv
                       ^          ├────> received ──> handle ──> submit send ──┐
                       │          └────> sent                                  │
                       └───────────────────────────────────────────────────────┘
    worker threads   (workers > 0)       take a connection ──> handle ──> post the response

The kernel (io_uring) performs I/O that was submitted beforehand, and reports what it has read, not what can
be read. One system call submits many responses. Watch I/O calls per request fall far below one under load.
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
from engines.completion_io.ring import RECEIVED, SENT, Completion, why_unavailable
from engines.completion_io.ring_group import run_rings
from engines.completion_io.worker_pool import CompletionWorkerPool


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread and each other ring on its own, until the engine must stop."""
    run_rings(Proactor, listener, setup)


class Proactor:
    """One ring: wait for completions, handle them, submit what follows. Used by one thread only."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        self.setup, self.row = setup, row
        self.words, self.handler, self.workers = setup.board.words, setup.handler, setup.knobs.workers
        self.mailbox = Mailbox()  # calls that other threads post to this ring

    def run(self, on_started: Callable[[], object]) -> None:
        """Create the ring on this thread, call `on_started`, and run until the engine has drained."""
        self.sockets = CompletionQueue(self.setup, self.row, self.mailbox)
        self.pool = CompletionWorkerPool(self.setup, self.row, self.mailbox, self.sockets)
        on_started()
        while self.sockets.alive:
            self.run_round()
        self.pool.stop()
        self.sockets.shutdown()

    def run_round(self) -> None:
        """Wait, and handle what has completed; then a worker takes the first of the queued requests."""
        self.row.mark[STATE] = WAITING
        self.handle(self.sockets.wait())
        self.sockets.sweep()
        self.pool.wake()

    def handle(self, complete: list[Completion]) -> None:
        """Handle completions: received data is dispatched, a finished send makes room for the next."""
        row, sockets = self.row, self.sockets
        mark = row.mark
        mark[STATE] = READING
        for completion in complete:
            connection, kind = completion.user_data, completion.kind
            if kind == RECEIVED:
                mark[STATE] = READING
                connection.received(completion, row)
            elif kind == SENT:
                connection.sent(completion, row)
            else:
                sockets.run_callback(completion)
                continue
            if connection.pending and not (connection.unsent or connection.queued or connection.lost):
                self.dispatch(connection)
            sockets.update(connection)

    def dispatch(self, connection: CompletionConnection) -> None:
        """Handle pending requests here or by a worker; each connection has one response in flight."""
        if self.workers:
            return self.pool.submit(connection)
        row = self.row
        mark = row.mark
        mark[STATE] = HANDLING
        self.words[connection.fd] = connection.tag | C_HANDLING
        response, request = handle_pending(connection.pending, self.handler, row)
        mark[STATE] = WRITING
        self.sockets.send(connection, response, request)


MODEL = Model(
    name="proactor",
    title="Proactor",
    order=5,
    summary="The app submits I/O, the kernel performs it and reports completion (io_uring).",
    roles=(
        Role("ring", "ring", "submits accept, recv and send, and handles completions", ("rings",)),
        Role("worker", "worker", "handles requests of its ring, posts responses", ("rings", "workers")),
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
