"""Single Reactor, worker pool.

    reactor thread   wait ──> recv ──> hand off ... send ──┐
                      ^──────────── mailbox <──────────────┘
    worker threads   take a peer ──> handle ──> send, or post the answer back

The reactor keeps the sockets, the pool does the work, so a slow handler delays only its own peer, and handlers
that release the GIL use other cores. The price is a hand-off for each request, and one more on the way back if
the reactor writes the answers (`reply=reactor`: half-sync/half-async by the book). Watch `queue` wait and
switches grow while the reactor's own lane turns solid: it is the next limit.
"""

from __future__ import annotations

import socket

from engines.common.board.board import C_HANDLING, HANDLING, QUEUE, STATE, WRITING
from engines.common.board.row import BoardRow
from engines.common.connection import Connection
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.handler import handle_pending
from engines.common.http.requests import Request
from engines.common.worker_pool import REPLY_CHOICES, WorkerPool
from engines.reactor import Reactor


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run one reactor on this thread and its workers beside it until told to stop."""
    row = setup.board.claim("reactor")
    setup.board.attach(row)
    PoolReactor(setup, row).serve(listener)


class PoolReactor(Reactor):
    """A reactor that hands requests to workers. Only the reactor opens, waits for and closes connections."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        super().__init__(setup, row)
        self.pool = WorkerPool(setup, row, self.mailbox)
        self.pool.start(self.work)
        self.reactor_replies = setup.knobs.reply == "reactor"

    def run(self) -> None:
        super().run()
        self.pool.stop()

    def dispatch(self, connection: Connection) -> None:
        """Hand on what the peer has asked for: it takes its turn, so that its answers stay in order."""
        if self.sockets.by_fd.get(connection.fd) is not connection:
            return  # closed while a worker's call for it was in the mailbox
        if not self.pool.try_lock(connection):
            if self.pool.must_pause_reading(connection):
                self.sockets.set_interest(
                    connection, 0
                )  # the worker that has the turn calls us when it gives it back
        elif connection.pending and not connection.unsent and not connection.closing:
            self.pool.put(connection, self.row)
        else:
            self.pool.unlock(connection)
            self.sockets.update(connection)

    def work(self, row: BoardRow) -> None:
        """Worker threads: take a peer, handle what it has asked for, answer it."""
        words = self.words
        row.mark[STATE] = QUEUE
        while connection := self.pool.take(row):
            row.mark[STATE] = HANDLING
            words[connection.fd] = connection.tag | C_HANDLING
            response, request = handle_pending(connection.pending, self.setup.handler, row)
            if self.reactor_replies:
                self.pool.post(row, self.reply, connection, request, response, self.row)
            else:
                self.reply(connection, request, response, row)
            row.mark[STATE] = QUEUE

    def reply(self, connection: Connection, request: Request, response: bytes, row: BoardRow) -> None:
        """On the thread of `row`, which has the turn: write the answer, then go on with the peer or let it go."""
        row.mark[STATE] = WRITING
        connection.send(response, row, request)
        if connection.pending and not connection.needs_update:
            return self.pool.put(connection, row)
        self.pool.finish(connection)
        if connection.pending or connection.needs_update or connection.parser.partial:
            self.pool.post(row, self.dispatch, connection)  # what has come meanwhile is the reactor's


MODEL = Model(
    name="reactor-pool",
    title="Reactor pool",
    order=3,
    aliases=("single reactor, multi-thread", "half-sync/half-async"),
    summary="One thread owns every socket; a pool of workers runs the handlers.",
    roles=(
        Role("reactor", "reactor", "waits for events, reads, and queues requests for the workers"),
        Role("worker", "worker", "takes a request from the queue, handles it, and responds", ("workers",)),
    ),
    knobs=(
        Knob("workers", 4, "Worker threads: how many handlers run or block at once.", 1, 256, "threads"),
        Knob("queue", 1024, "Queued requests; at the limit the reactor stops reading.", 1, 65536),
        Knob("reply", "worker", "The thread that writes the response.", choices=REPLY_CHOICES),
    ),
)
