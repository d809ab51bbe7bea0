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
import time

from engines.common.board import C_HANDLING, C_IDLE, C_QUEUED, HANDLING, QUEUE, STATE, WRITING, Row
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.http import Request
from engines.common.peer import Peer
from engines.common.pool import Pool
from engines.reactor import Reactor

PIPELINED_MAX = 128  # requests of one peer read ahead of its turn
REPLIES = ("worker", "reactor")


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run one reactor on this thread and its workers beside it until told to stop."""
    row = setup.board.claim("reactor")
    setup.board.enter(row)
    reactor = PoolReactor(setup, row, first_worker=0)
    reactor.sockets.listen(listener)
    reactor.sockets.watch(setup.stopping, reactor.drain)
    setup.ready()
    reactor.run()


class PoolReactor(Reactor):
    """A reactor that hands requests to workers. Only the reactor opens, waits for and closes connections."""

    def __init__(self, setup: Setup, row: Row, first_worker: int) -> None:
        super().__init__(setup, row)
        self.pool = Pool(setup, row, self.mailbox)
        self.pool.start(self.work, first_worker)
        self.reactor_replies = setup.knobs.reply == "reactor"

    def run(self) -> None:
        super().run()
        self.pool.stop()

    def dispatch(self, peer: Peer) -> None:
        """Hand on what the peer has asked for: it takes its turn, so that its answers stay in order."""
        if self.sockets.by_fd.get(peer.fd) is not peer:
            return  # closed while a worker's call for it was in the mailbox
        if not self.pool.turn(peer):
            if peer.unsettled or len(peer.todo) > PIPELINED_MAX:
                peer.unsettled = True
                self.sockets.want(peer, 0)  # the worker that has the turn calls us when it gives it back
        elif peer.todo and not peer.outbox and not peer.closing:
            self.setup.board.words[peer.fd] = peer.tag | C_QUEUED
            self.pool.put(peer, self.row)
        else:
            self.pool.give_back(peer)
            self.sockets.rest(peer)

    def work(self, row: Row) -> None:
        """Worker threads: take a peer, handle its next request, answer it."""
        mark, words = row.cells, self.setup.board.words
        mark[STATE] = QUEUE
        while peer := self.pool.take(row):
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            request = peer.todo.pop(0)
            answer = self.setup.handle(request, row)
            if self.reactor_replies:
                self.pool.post(row, self.reply, peer, request, answer, self.row)
            else:
                self.reply(peer, request, answer, row)
            mark[STATE] = QUEUE

    def reply(self, peer: Peer, request: Request, answer: bytes, row: Row) -> None:
        """On the thread of `row`, which has the turn: write the answer, then go on with the peer or let it go."""
        row.cells[STATE] = WRITING
        peer.send(answer, row)
        if not request.keep_alive:
            peer.last(request)
        peer.since_s = time.monotonic()  # from here on it may be idle
        if peer.todo and not peer.unsettled:
            return self.pool.put(peer, row)
        self.setup.board.words[peer.fd] = peer.tag | C_IDLE
        self.pool.give_back(peer)
        if peer.todo or peer.unsettled or peer.inbox.partial:
            self.pool.post(row, self.dispatch, peer)  # what has come meanwhile is the reactor's


MODEL = Model(
    name="reactor-pool",
    title="Reactor + workers",
    order=3,
    aliases=("single reactor, multi-thread", "half-sync/half-async"),
    summary="One thread owns every socket; a pool of workers runs the handlers.",
    roles=(
        Role("reactor", "reactor", "waits for events, reads, hands off", "the waiter: takes every order, never cooks"),
        Role("worker", "worker", "takes a request, handles it, answers", "the cooks: they see slips, never guests"),
    ),
    knobs=(
        Knob("workers", 4, "How many handlers can run, or wait, at once.", 1, 256, "threads"),
        Knob("queue", 1024, "Requests waiting for a worker; beyond them the reactor stops reading.", 1, 65536),
        Knob("reply", "worker", "Who writes the answer: the worker, or the reactor by mailbox.", choices=REPLIES),
    ),
    pros=(
        "A slow handler delays only its own peer.",
        "Handlers that wait or release the GIL use more than one core.",
        "Threads are counted by work, not by connections.",
    ),
    cons=(
        "A hand-off for each request: a queue, a wake-up, a context switch.",
        "One reactor reads for all: it is the next limit.",
        "Sockets are shared between threads, so order and closing need care.",
    ),
    used_by=("Tomcat's NIO connector", "Puma", "gunicorn's gthread", "memcached's ancestors"),
)
