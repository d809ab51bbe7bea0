"""Main-sub Reactors: one accepts, several serve.

    main reactor      wait ──> accept ──> assign to a sub-reactor (mailbox)
    sub-reactors      wait ──> recv ──> queue ... ──┐      each with its own epoll,
                       ^────────────────────────────┘      connections and workers
    worker threads    take a connection ──> handle ──> send

Accepting is separated from serving, and serving is spread over several event loops, which share the GIL.
A sub-reactor is a reactor pool, or with `workers` = 0 a single reactor. Watch the connections spread over the
sub-reactors, and the main reactor stay idle under keep-alive load.
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


def serve(listener: socket.socket, setup: Setup) -> None:
    """Run the main reactor on this thread and each sub-reactor on its own, until the engine must stop."""
    kind = PoolReactor if setup.knobs.workers else Reactor
    subs = [kind(setup, setup.board.claim("sub", index)) for index in range(setup.knobs.reactors)]
    threads = [start_thread(setup.board, sub.row, sub.run) for sub in subs]
    row = setup.board.claim("main")
    setup.board.attach(row)
    MainReactor(setup, row, listener, subs).run()
    for thread in threads:
        thread.join()


class MainReactor:
    """Accepts connections and assigns each to a sub-reactor. Event loop only."""

    def __init__(self, setup: Setup, row: BoardRow, listener: socket.socket, subs: list[Reactor]) -> None:
        self.setup, self.row, self.subs = setup, row, subs
        self.next_sub = cycle(subs)
        self.assigned = Counter[Reactor]()
        self.sockets = Demultiplexer(setup, row)
        self.sockets.listen(listener, on_accept=self.assign, count=self.total)
        self.sockets.watch(setup.stopping, self.drain)

    def run(self) -> None:
        """Run the loop until the engine must stop and the accept queue is empty."""
        self.setup.ready()
        while self.sockets.alive:
            self.row.mark[STATE] = WAITING
            for fd, _ in self.sockets.wait():
                self.sockets.run_callback(fd)
            self.sockets.sweep()

    def assign(self, sock: socket.socket) -> None:
        """Give the connection to a sub-reactor; from then on only that thread uses it."""
        round_robin = self.setup.knobs.deal == "round-robin"
        sub = next(self.next_sub) if round_robin else min(self.subs, key=self.count_of)
        self.assigned[sub] += 1
        sub.mailbox.post(sub.sockets.open, sock)

    def count_of(self, sub: Reactor) -> int:
        """Return the number of connections of a sub-reactor, those in its mailbox included."""
        return self.assigned[sub] - sub.row.counters[CLOSED]

    def total(self) -> int:
        """Return the number of connections of all sub-reactors."""
        return sum(map(self.count_of, self.subs))

    def drain(self) -> None:
        """Assign what the kernel has already accepted; each sub-reactor drains after that."""
        self.sockets.drain()
        for sub in self.subs:
            sub.mailbox.post(sub.drain)


MODEL = Model(
    name="main-sub",
    title="Main-sub",
    order=4,
    summary="A main reactor accepts and distributes connections to sub-reactors with their own loops.",
    roles=(
        Role("main", "main reactor", "accepts connections and distributes them"),
        Role("sub", "sub-reactor", "waits, reads, and queues requests for its workers", ("reactors",)),
        Role("worker", "worker", "handles requests of its sub-reactor", ("reactors", "workers")),
    ),
    knobs=(
        Knob("reactors", 2, "Sub-reactors, each with its own epoll.", 1, 64, "threads"),
        Knob("workers", 2, "Workers of each sub-reactor; 0 runs handlers inline.", 0, 256, "threads"),
        Knob("deal", "round-robin", "Assignment policy.", choices=("round-robin", "least-connections")),
        Knob("queue", 1024, "Queued requests; at the limit the sub-reactor stops reading.", 1, 65536),
        Knob("reply", "worker", "The thread that writes the response.", choices=REPLY_CHOICES),
    ),
)
