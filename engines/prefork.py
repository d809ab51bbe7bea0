"""Prefork: worker processes, a reactor in each.

    master process     fork ──> wait ──> a worker was killed: fork another
    worker processes   wait ──> accept
                        ^ ────> recv ──> handle ──> send ──┐
                        └──────────────────────────────────┘

All worker processes wait for one listening socket, or each for its own (`accept=reuseport`), and the kernel
gives a connection to one of them. They share nothing else: each is a reactor with its own interpreter and
GIL. There are no locks, a crash ends only its own connections, and work that holds the GIL uses every core.
The cost is memory for each process, and connections that cannot move. Watch CPU exceed 100 % under `cpu`
work, which no other model reaches, and one process stall in a slow handler while the others continue. Then
`kill -9` a worker process: the master starts another.
"""

from __future__ import annotations

import select
import socket

from engines.common.board.board import BLOCKED, STATE, WAIT_CALLS, WAITING, WAKEUPS
from engines.common.board.row import BoardRow
from engines.common.contract import ACCEPT_CHOICES, EXCLUSIVE, REUSEPORT, SHARED, Knob, Model, Role, Setup
from engines.common.process.listeners import listen_beside
from engines.common.stop_handshakes import stop_handshakes
from engines.prefork_io.worker_process import WorkerProcesses
from engines.reactor import Reactor


def serve(listener: socket.socket, setup: Setup) -> None:
    """Start the worker processes and replace those that are killed, until the engine must stop."""
    row = setup.board.claim("master")
    setup.board.attach(row)
    workers = WorkerProcesses(setup, lambda setup, row: run_worker(listener, setup, row))
    setup.ready()
    supervise(workers, setup, row)
    stop_handshakes(listener)
    listener.close()  # the workers still have it, and empty the accept queue
    workers.stop()


def supervise(workers: WorkerProcesses, setup: Setup, row: BoardRow) -> None:
    """Wait for the end of a worker process and start another, until the engine must stop."""
    stopping = False
    while not stopping:
        row.mark[STATE] = WAITING
        ready, _, _ = select.select([setup.stopping, *workers], [], [])
        row.check_trace()
        row.mark[STATE] = BLOCKED  # until a replacement is ready
        row.counters[WAIT_CALLS] += 1
        row.counters[WAKEUPS] += 1
        row.publish()
        stopping = setup.stopping in ready
        workers.replace(ready)


def run_worker(listener: socket.socket, setup: Setup, row: BoardRow) -> None:
    """Run one reactor, which accepts for itself, in a worker process until it has drained."""
    reactor, accept = Reactor(setup, row), setup.knobs.accept
    if accept == REUSEPORT:
        listener = listen_beside(listener, setup.knobs.backlog)
    # One connection per wake-up, so that a burst is shared.
    reactor.sockets.listen(listener, batch=1, exclusive=accept == EXCLUSIVE)
    reactor.sockets.watch(setup.stopping, reactor.drain)
    setup.ready()
    reactor.run()


MODEL = Model(
    name="prefork",
    title="Prefork",
    order=6,
    summary="A master forks worker processes; each runs its own reactor on the same listening socket.",
    roles=(
        Role("master", "master", "starts worker processes and replaces those that end"),
        Role(
            "worker", "worker process", "accepts, reads, handles and writes", ("processes",), own_process=True
        ),
    ),
    knobs=(
        Knob("processes", 2, "Worker processes, each with its own reactor and GIL.", 1, 16, "processes"),
        Knob(
            "accept",
            SHARED,
            "Listening socket: one, which wakes all idle workers; one, which wakes a single worker "
            "(EPOLLEXCLUSIVE); or one per worker (SO_REUSEPORT), whose accept queue is lost with the worker.",
            choices=ACCEPT_CHOICES,
        ),
    ),
)
