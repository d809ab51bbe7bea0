"""Workers behind a ring: they handle requests, and the ring's thread submits the responses."""

from __future__ import annotations

from engines.common.board.board import C_HANDLING, HANDLING, QUEUE, STATE, WRITING
from engines.common.board.row import BoardRow
from engines.common.contract import Setup
from engines.common.handler import handle_pending
from engines.common.http.requests import Request
from engines.common.mailbox import Mailbox
from engines.common.worker_pool import WorkerPool
from engines.completion_io.completion_queue import CompletionQueue
from engines.completion_io.connection import CompletionConnection


class CompletionWorkerPool:
    """The worker pool of one ring. Responses come back by mailbox."""

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox, sockets: CompletionQueue) -> None:
        self._handler = setup.handler
        self._words = setup.board.words
        self._row = row
        self._sockets = sockets
        self._pool = WorkerPool(setup, row, mailbox)
        self._pool.start(self._work)

    def submit(self, connection: CompletionConnection) -> None:
        """Queue the connection; it comes back when its next request is handled. Ring's thread."""
        connection.queued = True
        self._pool.put(connection, self._row)

    def wake(self) -> None:
        """Wake a worker if connections are queued. Ring's thread, after each round of completions."""
        self._pool.wake()

    def stop(self) -> None:
        """End the workers once all connections are closed. Ring's thread."""
        self._pool.stop()

    def _work(self, row: BoardRow) -> None:
        """Worker threads: take a connection, handle its pending requests, post the response."""
        words = self._words
        row.mark[STATE] = QUEUE
        while connection := self._pool.take(row):
            assert isinstance(connection, CompletionConnection)
            row.mark[STATE] = HANDLING
            words[connection.fd] = connection.tag | C_HANDLING
            response, request = handle_pending(connection.pending, self._handler, row)
            self._pool.post(row, self._reply, connection, request, response)
            row.mark[STATE] = QUEUE

    def _reply(self, connection: CompletionConnection, request: Request, response: bytes) -> None:
        """Submit the response of a worker. Ring's thread."""
        connection.queued = False
        if not connection.lost:
            self._row.mark[STATE] = WRITING
            self._sockets.send(connection, response, request)
        self._sockets.update(connection)
