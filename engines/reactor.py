"""Single Reactor, single thread.

    reactor thread   wait ──> accept
                      ^ ────> recv ──> handle ──> send ──┐
                      └──────────────────────────────────┘

One thread asks the kernel which sockets are ready (epoll: the synchronous event demultiplexer) and then does
everything in sequence. No locks, no hand-offs, and an idle connection costs a descriptor, not a thread.
But it is one thread: it cannot use a second core, and while one handler sleeps or computes, nobody else is
read, answered or accepted. Watch the one lane turn solid, and everybody's p99 become the slowest handler.
"""

from __future__ import annotations

import socket

from engines.common.board.board import C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING, Row
from engines.common.connection import Peer
from engines.common.contract import Model, Role, Setup
from engines.common.http.responses import answer_some
from engines.common.mailbox import Mailbox
from engines.readiness_io.demultiplexer import READABLE, Demultiplexer


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run one reactor on this thread until told to stop."""
    row = setup.board.claim("reactor")
    setup.board.enter(row)
    Reactor(setup, row).serve(listener)


class Reactor:
    """One loop: wait, then read, handle and write in sequence. All methods: the loop's thread only."""

    def __init__(self, setup: Setup, row: Row) -> None:
        self.setup, self.row = setup, row
        self.words = setup.board.words
        self.sockets = Demultiplexer(setup, row)
        self.mailbox = Mailbox()  # for other threads that have something for this loop
        self.sockets.watch(self.mailbox.fd, self.mailbox.run_all)

    def serve(self, listener: socket.socket) -> None:
        """Accept here as well, until told to stop."""
        self.sockets.listen(listener)
        self.sockets.watch(self.setup.stopping, self.drain)
        self.setup.ready()
        self.run()

    def run(self) -> None:
        row, sockets, by_fd = self.row, self.sockets, self.sockets.by_fd
        while sockets.alive:
            row.mark[STATE] = WAITING
            ready = sockets.wait()
            mark = row.mark
            for fd, events in ready:
                if peer := by_fd.get(fd):
                    mark[STATE] = READING
                    if events == READABLE:
                        peer.recv(row)
                    else:
                        sockets.resume(peer, events)
                    self.dispatch(peer)
                else:
                    sockets.call(fd)
            sockets.sweep()

    def dispatch(self, peer: Peer) -> None:
        """Handle in sequence, on this thread, what the peer has asked for."""
        mark, row, words = self.row.mark, self.row, self.words
        while peer.todo and not peer.outbox:
            mark[STATE] = HANDLING
            words[peer.fd] = peer.tag | C_HANDLING
            answer, request = answer_some(peer.todo, self.setup.handler, row)
            mark[STATE] = WRITING
            peer.send(answer, row, request)
        self.sockets.rest(peer)

    def drain(self) -> None:
        self.setup.handler.draining = True
        self.sockets.drain()


MODEL = Model(
    name="reactor",
    title="Reactor",
    order=2,
    aliases=("single reactor, single thread", "event loop"),
    summary="One thread waits for all sockets at once and does everything in sequence.",
    roles=(
        Role("reactor", "reactor", "waits, accepts, reads, handles, writes", "one person greets and serves"),
    ),
    knobs=(),
)
