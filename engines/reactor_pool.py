"""Single Reactor, worker pool.

    reactor thread   wait ──> recv ──> queue ... send ──┐
                      ^─────────── mailbox <────────────┘
    worker threads   take a connection ──> handle ──> send, or post the response back

The reactor owns the sockets, the workers run the handlers. A slow handler delays only its own connection, and
handlers that release the GIL use other cores. The cost is one hand-off per request, and a second one where
the reactor writes the responses (`reply=reactor`, the textbook's half-sync/half-async). The reactor wakes one
worker after each round of events, which wakes the next if it leaves requests. Watch context switches per
request fall with the load, and queue wait grow while the reactor's lane becomes solid: it is the next limit.
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
    """Run one reactor on this thread, with its workers, until the engine must stop."""
    row = setup.board.claim("reactor")
    setup.board.attach(row)
    PoolReactor(setup, row).serve(listener)


class PoolReactor(Reactor):
    """A reactor that queues requests for workers. Only the loop opens, waits for and closes connections."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        super().__init__(setup, row)
        self.pool = WorkerPool(setup, row, self.mailbox)
        self.pool.start(self.work)
        self.reactor_replies = setup.knobs.reply == "reactor"

    def run(self) -> None:
        """Run the loop until the engine has drained, then end the workers."""
        super().run()
        self.pool.stop()

    def finish_round(self) -> None:
        """After a round of events: a worker takes the first of the requests that were queued in it."""
        super().finish_round()
        self.pool.wake()

    def dispatch(self, connection: Connection) -> None:
        """Queue `connection` unless a worker has it: one worker at a time keeps responses in order."""
        if self.sockets.by_fd.get(connection.fd) is not connection:
            return  # closed while a worker's call was in the mailbox
        if not self.pool.try_lock(connection):
            if self.pool.must_pause_reading(connection):
                self.sockets.set_interest(connection, 0)  # until the worker that has it posts `dispatch`
        elif connection.pending and not connection.unsent and not connection.closing:
            self.pool.put(connection, self.row)
        else:
            self.pool.unlock(connection)
            self.sockets.update(connection)

    def work(self, row: BoardRow) -> None:
        """Worker threads: take a connection, handle its pending requests, respond."""
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
        """Send the response on the thread of `row`, which holds the lock; then continue or unlock."""
        row.mark[STATE] = WRITING
        connection.send(response, row, request)
        if connection.pending and not connection.needs_update:
            return self.pool.put(connection, row)
        self.pool.finish(connection)
        if connection.pending or connection.needs_update or connection.parser.partial:
            self.pool.post(row, self.dispatch, connection)  # the loop handles what arrived meanwhile


MODEL = Model(
    name="reactor-pool",
    title="Reactor pool",
    order=3,
    summary="One thread owns the sockets; a pool of workers runs the handlers.",
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
