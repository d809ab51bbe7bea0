"""Main-sub Reactors: one accepts, several serve.

    main reactor      wait ──> accept ──> deal to a sub-reactor (mailbox)
    sub-reactors      wait ──> recv ──> hand off ... ──┐      each with its own epoll,
                       ^───────────────────────────────┘      its own peers and its own pool
    worker threads    take a peer ──> handle ──> send

Accepting is separated from serving, and serving is spread over several loops: no reactor is everybody's limit.
A sub-reactor *is* one of the two reactors before it: with a pool (`workers` > 0), or inline (`workers` = 0).
Watch the connections spread over the sub-reactors, and the main reactor's lane stay empty under keep-alive load.
Under CPython the loops share the GIL, so they overlap in system calls and in handlers that release it.
"""

from __future__ import annotations

import socket
from collections import Counter
from itertools import cycle

from engines.common.board.board import CLOSED, STATE, WAITING
from engines.common.board.row import BoardRow
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.process.threads import start_thread
from engines.common.worker_pool import REPLY_CHOICES
from engines.reactor import Reactor
from engines.reactor_pool import PoolReactor
from engines.readiness_io.demultiplexer import Demultiplexer

DEALS = ("round-robin", "least-connections")


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the main reactor on this thread and each sub-reactor on its own until told to stop."""
    kind = PoolReactor if setup.knobs.workers else Reactor
    subs = [kind(setup, setup.board.claim("sub", index)) for index in range(setup.knobs.reactors)]
    threads = [start_thread(setup.board, sub.row, sub.run) for sub in subs]
    row = setup.board.claim("main")
    setup.board.attach(row)
    MainReactor(setup, row, listener, subs).run()
    for thread in threads:
        thread.join()


class MainReactor:
    """Accepts and deals, nothing else."""

    def __init__(self, setup: Setup, row: BoardRow, listener: socket.socket, subs: list[Reactor]) -> None:
        self.setup, self.row, self.subs = setup, row, subs
        self.next_sub = cycle(subs)
        self.assigned = Counter[Reactor]()
        self.sockets = Demultiplexer(setup, row)
        self.sockets.listen(listener, on_accept=self.assign, count=self.total)
        self.sockets.watch(setup.stopping, self.drain)

    def run(self) -> None:
        self.setup.ready()
        while self.sockets.alive:
            self.row.mark[STATE] = WAITING
            for fd, _ in self.sockets.wait():
                self.sockets.run_callback(fd)
            self.sockets.sweep()

    def assign(self, sock: socket.socket) -> None:
        """Give the connection to a sub-reactor: from here on only that thread touches it."""
        round_robin = self.setup.knobs.deal == "round-robin"
        sub = next(self.next_sub) if round_robin else min(self.subs, key=self.count_of)
        self.assigned[sub] += 1
        sub.mailbox.post(sub.sockets.open, sock)

    def count_of(self, sub: Reactor) -> int:
        """What a sub-reactor has, and what still lies in its mailbox."""
        return self.assigned[sub] - sub.row.counters[CLOSED]

    def total(self) -> int:
        return sum(map(self.count_of, self.subs))

    def drain(self) -> None:
        """Deal what the kernel has already accepted; then each sub-reactor drains, in the order of its mailbox."""
        self.sockets.drain()
        for sub in self.subs:
            sub.mailbox.post(sub.drain)


MODEL = Model(
    name="main-sub",
    title="Main-sub",
    order=4,
    aliases=("master-slave reactors", "boss/worker", "multi-reactor, multi-thread"),
    summary="A main reactor only accepts; it deals connections to sub-reactors with loops and workers of their own.",
    roles=(
        Role("main", "main reactor", "accepts connections and distributes them"),
        Role("sub", "sub-reactor", "waits, reads, and queues requests for its workers", ("reactors",)),
        Role("worker", "worker", "handles requests of its sub-reactor", ("reactors", "workers")),
    ),
    knobs=(
        Knob("reactors", 2, "Sub-reactors, each with its own epoll.", 1, 64, "threads"),
        Knob("workers", 2, "Workers of each sub-reactor; 0 runs handlers inline.", 0, 256, "threads"),
        Knob("deal", "round-robin", "How connections are distributed.", choices=DEALS),
        Knob("queue", 1024, "Queued requests; at the limit the sub-reactor stops reading.", 1, 65536),
        Knob("reply", "worker", "The thread that writes the response.", choices=REPLY_CHOICES),
    ),
)
