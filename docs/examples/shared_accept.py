"""Shared accept: several reactors accept from one listening socket.

    reactor threads   wait ──> accept
                       ^ ────> recv ──> handle ──> send ──┐
                       └──────────────────────────────────┘

Each thread is a complete reactor with its own epoll, and all of them wait for the same listening socket, so
the kernel decides which thread gets a connection. Watch how unevenly the connections are distributed.
"""

from __future__ import annotations

import socket

from engines.common.contract import Knob, Model, Role, Setup
from engines.common.process.threads import start_thread
from engines.reactor import Reactor


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run each reactor on its own thread until the engine must stop."""
    reactors = [Reactor(setup, setup.board.claim("reactor", index)) for index in range(setup.knobs.loops)]
    threads = [start_thread(setup.board, reactor.row, run, reactor, listener.dup()) for reactor in reactors]
    setup.ready()
    listener.close()
    for thread in threads:
        thread.join()


def run(reactor: Reactor, listener: socket.socket) -> None:
    """Accept one connection per wake-up and serve it on this thread."""
    reactor.sockets.listen(listener, batch=1)
    reactor.sockets.watch(reactor.setup.stopping, reactor.drain)
    reactor.run()


MODEL = Model(
    name="shared-accept",
    title="Shared accept",
    order=100,
    aliases=("one listener, several loops",),
    summary="Several reactor threads accept from one listening socket.",
    roles=(Role("reactor", "reactor", "accepts, reads, handles and writes", threads=("loops",)),),
    knobs=(Knob("loops", 3, "Reactor threads, each with its own epoll.", 1, 64, "threads"),),
)
