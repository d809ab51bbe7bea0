"""Several rings on one listener: the first accepts for all and deals in turn.

Each could have an accept of its own, but the kernel wakes whoever is first in line: of 90 connections three rings
got 63, 27 and 0.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from itertools import cycle
from threading import Barrier
from typing import Protocol

from engines.common.board.row import BoardRow
from engines.common.contract import Setup
from engines.common.mailbox import Mailbox
from engines.common.process.threads import start_thread
from engines.completion_io.completion_queue import CompletionQueue


class RingThread(Protocol):
    """A thread with a ring, and a mailbox for other threads. `run` makes the ring, calls `born`, and loops."""

    row: BoardRow
    sockets: CompletionQueue
    mailbox: Mailbox

    def run(self, on_started: Callable[[], object]) -> None: ...


def run_rings(kind: Callable[[Setup, BoardRow], RingThread], listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread, each other on its own, until told to stop."""
    first, *others = rings = [
        kind(setup, setup.board.claim("ring", index)) for index in range(setup.knobs.rings)
    ]
    up = Barrier(len(rings))
    setup.board.attach(first.row)
    threads = [start_thread(setup.board, ring.row, ring.run, up.wait) for ring in others]

    def when_all_started() -> None:
        up.wait()
        accept_for_all(rings, listener, setup)
        setup.ready()

    first.run(when_all_started)
    for thread in threads:
        thread.join()


def accept_for_all(rings: Sequence[RingThread], listener: socket.socket, setup: Setup) -> None:
    """On the first ring's thread, once all are up: accept, deal, and drain when told to stop."""
    first, *others = rings
    in_turn = cycle(rings)

    def assign(sock: socket.socket) -> None:
        ring = next(in_turn)
        if ring is first:
            ring.sockets.open(sock)
        else:
            ring.mailbox.post(ring.sockets.open, sock)

    def drain() -> None:
        """Each other ring drains after what it was dealt: its mailbox keeps the order."""
        setup.handler.draining = True
        first.sockets.drain(lambda: [ring.mailbox.post(ring.sockets.drain) for ring in others])

    first.sockets.listen(listener, assign, count=lambda: sum(len(ring.sockets.by_fd) for ring in rings))
    first.sockets.watch(setup.stopping, drain, once=True)
