"""Workers behind a ring: they handle, the ring's thread submits. A ring belongs to the thread it was born in."""

from __future__ import annotations

from engines.common.board.board import C_HANDLING, HANDLING, QUEUE, STATE, WRITING, Row
from engines.common.contract import Setup
from engines.common.http.inbox import Request
from engines.common.http.responses import answer_some
from engines.common.mailbox import Mailbox
from engines.common.worker_pool import Pool
from engines.completion_io.completion_queue import CompletionQueue
from engines.completion_io.connection import CompletionPeer


class CompletionPool:
    """The pool of one ring, whose answers come back by mailbox."""

    def __init__(self, setup: Setup, row: Row, mailbox: Mailbox, sockets: CompletionQueue) -> None:
        self._handler = setup.handler
        self._words = setup.board.words
        self._row = row
        self._sockets = sockets
        self._pool = Pool(setup, row, mailbox)
        self._pool.start(self._work)

    def hand_on(self, peer: CompletionPeer) -> None:
        """Ring thread: put the peer in the queue. It comes back when its next request is answered."""
        peer.handed_on = True
        self._pool.put(peer, self._row)

    def stop(self) -> None:
        """Ring thread, once every peer is gone."""
        self._pool.stop()

    def _work(self, row: Row) -> None:
        """Worker threads: take a peer, handle what it has asked for, post the answer back."""
        words = self._words
        row.mark[STATE] = QUEUE
        while peer := self._pool.take(row):
            assert isinstance(peer, CompletionPeer)
            row.mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(peer.todo, self._handler, row)
            self._pool.post(row, self._reply, peer, request, answer)
            row.mark[STATE] = QUEUE

    def _reply(self, peer: CompletionPeer, request: Request, answer: bytes) -> None:
        """Ring thread: a worker has answered."""
        peer.handed_on = False
        if not peer.lost:
            self._row.mark[STATE] = WRITING
            self._sockets.send(peer, answer, request)
        self._sockets.rest(peer)
