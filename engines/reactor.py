"""Single Reactor, single thread.

    reactor thread   wait ──> accept
                      ^ ────> recv ──> handle ──> send ──┐
                      └──────────────────────────────────┘

One thread asks the kernel which sockets are ready (epoll, the synchronous event demultiplexer) and does all
work in sequence. There are no locks and no hand-offs, and an idle connection costs a descriptor instead of a
thread. But one thread cannot use a second core, and while a handler sleeps or computes, no other connection
is accepted, read or answered. Watch the thread's lane become solid, and the p99 of all requests approach the
slowest handler.
"""

from __future__ import annotations

import socket

from engines.common.board.board import C_HANDLING, HANDLING, READING, STATE, WAITING, WRITING
from engines.common.board.row import BoardRow
from engines.common.connection import Connection
from engines.common.contract import Model, Role, Setup
from engines.common.handler import handle_pending
from engines.common.mailbox import Mailbox
from engines.readiness_io.demultiplexer import READABLE, Demultiplexer


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run one reactor on this thread until the engine must stop."""
    row = setup.board.claim("reactor")
    setup.board.attach(row)
    Reactor(setup, row).serve(listener)


class Reactor:
    """One event loop: wait, then read, handle and write in sequence. Event loop only."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        self.setup, self.row = setup, row
        self.words = setup.board.words
        self.sockets = Demultiplexer(setup, row)
        self.mailbox = Mailbox()  # calls that other threads post to this loop
        self.sockets.watch(self.mailbox.fd, self.mailbox.run_all)

    def serve(self, listener: socket.socket) -> None:
        """Accept in this loop as well, and run it until the engine has stopped."""
        self.sockets.listen(listener)
        self.sockets.watch(self.setup.stopping, self.drain)
        self.setup.ready()
        self.run()

    def run(self) -> None:
        """Run the loop until the engine has drained."""
        row, sockets, by_fd = self.row, self.sockets, self.sockets.by_fd
        while sockets.alive:
            row.mark[STATE] = WAITING
            ready = sockets.wait()
            mark = row.mark
            for fd, events in ready:
                if connection := by_fd.get(fd):
                    mark[STATE] = READING
                    if events == READABLE:
                        connection.recv(row)
                    else:
                        sockets.resume(connection, events)
                    self.dispatch(connection)
                else:
                    sockets.run_callback(fd)
            self.finish_round()

    def dispatch(self, connection: Connection) -> None:
        """Handle the pending requests of `connection` on this thread, and send the responses."""
        mark, row, words = self.row.mark, self.row, self.words
        while connection.pending and not connection.unsent:
            mark[STATE] = HANDLING
            words[connection.fd] = connection.tag | C_HANDLING
            response, request = handle_pending(connection.pending, self.setup.handler, row)
            mark[STATE] = WRITING
            connection.send(response, row, request)
        self.sockets.update(connection)

    def finish_round(self) -> None:
        """After a round of events: close what has timed out, publish the counters."""
        self.sockets.sweep()

    def drain(self) -> None:
        """Stop accepting, and finish the requests in flight."""
        self.setup.handler.draining = True
        self.sockets.drain()


MODEL = Model(
    name="reactor",
    title="Reactor",
    order=2,
    summary="One thread waits for all sockets (epoll) and does all work in sequence.",
    roles=(Role("reactor", "reactor", "waits for events, accepts, reads, handles and writes"),),
    knobs=(),
)
