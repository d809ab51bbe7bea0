"""Workers behind a ring: they handle, the ring's thread submits. A ring belongs to the thread it was born in."""

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
    """The pool of one ring, whose answers come back by mailbox."""

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox, sockets: CompletionQueue) -> None:
        self._handler = setup.handler
        self._words = setup.board.words
        self._row = row
        self._sockets = sockets
        self._pool = WorkerPool(setup, row, mailbox)
        self._pool.start(self._work)

    def submit(self, connection: CompletionConnection) -> None:
        """Ring thread: put the peer in the queue. It comes back when its next request is answered."""
        connection.with_worker = True
        self._pool.put(connection, self._row)

    def stop(self) -> None:
        """Ring thread, once every peer is gone."""
        self._pool.stop()

    def _work(self, row: BoardRow) -> None:
        """Worker threads: take a peer, handle what it has asked for, post the answer back."""
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
        """Ring thread: a worker has answered."""
        connection.with_worker = False
        if not connection.lost:
            self._row.mark[STATE] = WRITING
            self._sockets.send(connection, response, request)
        self._sockets.update(connection)
