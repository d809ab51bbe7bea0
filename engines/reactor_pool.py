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

from engines.common.board.board import C_HANDLING, HANDLING, QUEUE, STATE, WRITING, Row
from engines.common.connection import Peer
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.http.inbox import Request
from engines.common.http.responses import answer_some
from engines.common.worker_pool import REPLIES, Pool
from engines.reactor import Reactor


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run one reactor on this thread and its workers beside it until told to stop."""
    row = setup.board.claim("reactor")
    setup.board.enter(row)
    PoolReactor(setup, row).serve(listener)


class PoolReactor(Reactor):
    """A reactor that hands requests to workers. Only the reactor opens, waits for and closes connections."""

    def __init__(self, setup: Setup, row: Row) -> None:
        super().__init__(setup, row)
        self.pool = Pool(setup, row, self.mailbox)
        self.pool.start(self.work)
        self.reactor_replies = setup.knobs.reply == "reactor"

    def run(self) -> None:
        super().run()
        self.pool.stop()

    def dispatch(self, peer: Peer) -> None:
        """Hand on what the peer has asked for: it takes its turn, so that its answers stay in order."""
        if self.sockets.by_fd.get(peer.fd) is not peer:
            return  # closed while a worker's call for it was in the mailbox
        if not self.pool.turn(peer):
            if self.pool.too_far_ahead(peer):
                self.sockets.want(peer, 0)  # the worker that has the turn calls us when it gives it back
        elif peer.todo and not peer.outbox and not peer.closing:
            self.pool.put(peer, self.row)
        else:
            self.pool.give_back(peer)
            self.sockets.rest(peer)

    def work(self, row: Row) -> None:
        """Worker threads: take a peer, handle what it has asked for, answer it."""
        words = self.words
        row.mark[STATE] = QUEUE
        while peer := self.pool.take(row):
            row.mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(peer.todo, self.setup.handler, row)
            if self.reactor_replies:
                self.pool.post(row, self.reply, peer, request, answer, self.row)
            else:
                self.reply(peer, request, answer, row)
            row.mark[STATE] = QUEUE

    def reply(self, peer: Peer, request: Request, answer: bytes, row: Row) -> None:
        """On the thread of `row`, which has the turn: write the answer, then go on with the peer or let it go."""
        row.mark[STATE] = WRITING
        peer.send(answer, row, request)
        if peer.todo and not peer.unsettled:
            return self.pool.put(peer, row)
        self.pool.finish(peer)
        if peer.todo or peer.unsettled or peer.inbox.partial:
            self.pool.post(row, self.dispatch, peer)  # what has come meanwhile is the reactor's


MODEL = Model(
    name="reactor-pool",
    title="Reactor pool",
    order=3,
    aliases=("single reactor, multi-thread", "half-sync/half-async"),
    summary="One thread owns every socket; a pool of workers runs the handlers.",
    roles=(
        Role(
            "reactor",
            "reactor",
            "waits for events, reads, hands off",
            "the waiter: takes every order, never cooks",
        ),
        Role(
            "worker",
            "worker",
            "takes a request, handles it, answers",
            "the cooks: they see slips, never guests",
        ),
    ),
    knobs=(
        Knob("workers", 4, "How many handlers can run, or wait, at once.", 1, 256, "threads"),
        Knob(
            "queue", 1024, "Requests waiting for a worker; beyond them the reactor stops reading.", 1, 65536
        ),
        Knob(
            "reply",
            "worker",
            "Who writes the answer: the worker, or the reactor by mailbox.",
            choices=REPLIES,
        ),
    ),
)
