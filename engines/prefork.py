"""Prefork: worker processes, a reactor in each.

    master process     fork ──> wait ──> one was killed: fork another
    worker processes   wait ──> accept
                        ^ ────> recv ──> handle ──> send ──┐
                        └──────────────────────────────────┘

All worker processes wait for one listening socket, and who comes first takes the connection. Beyond that they share
nothing: each is a reactor with an interpreter and a GIL of its own, so there are no locks, a crash ends only its own
connections, and work that holds the GIL uses every core. The price is memory for each of them, and connections that
stay where they fell. Watch CPU pass 100 % under `cpu` work, as with no other model, and one lane stand still in a
slow handler while the next goes on. Then `kill -9` a worker process: another takes its place.
"""

from __future__ import annotations

import select
import socket

from engines.common.board.board import HANDLING, STATE, WAIT_CALLS, WAITING, WAKEUPS
from engines.common.board.row import BoardRow
from engines.common.contract import Knob, Model, Role, Setup
from engines.common.stop_handshakes import stop_handshakes
from engines.prefork_io.worker_process import WorkerProcesses
from engines.reactor import Reactor


def serve(listener: socket.socket, setup: Setup) -> None:
    """Be the master: start the worker processes, replace those that are killed, and serve nobody."""
    row = setup.board.claim("master")
    setup.board.attach(row)
    workers = WorkerProcesses(setup, lambda setup, row: run_worker(listener, setup, row))
    setup.ready()
    supervise(workers, setup, row)
    stop_handshakes(listener)
    listener.close()  # the workers still have it, and take whom the kernel has let in
    workers.stop()


def supervise(workers: WorkerProcesses, setup: Setup, row: BoardRow) -> None:
    """Wait for a worker's end and put another in its place, until told to stop."""
    stopping = False
    while not stopping:
        row.mark[STATE] = WAITING
        ready, _, _ = select.select([setup.stopping, *workers], [], [])
        row.check_trace()
        row.mark[STATE] = HANDLING
        row.counters[WAIT_CALLS] += 1
        row.counters[WAKEUPS] += 1
        row.publish()
        stopping = setup.stopping in ready
        workers.replace(ready)


def run_worker(listener: socket.socket, setup: Setup, row: BoardRow) -> None:
    """A worker process's whole life: one reactor, which accepts for itself."""
    reactor = Reactor(setup, row)
    reactor.sockets.listen(listener, batch=1)  # one at a time: who is first would have a whole burst
    reactor.sockets.watch(setup.stopping, reactor.drain)
    setup.ready()
    reactor.run()


MODEL = Model(
    name="prefork",
    title="Prefork",
    order=6,
    aliases=("worker processes", "process per core"),
    summary="A master forks worker processes; each runs a reactor of its own on the same listening socket.",
    roles=(
        Role("master", "master", "starts worker processes and replaces those that end"),
        Role(
            "worker", "worker process", "accepts, reads, handles and writes", ("processes",), own_process=True
        ),
    ),
    knobs=(Knob("processes", 2, "Worker processes, each with its own reactor and GIL.", 1, 16, "processes"),),
)
