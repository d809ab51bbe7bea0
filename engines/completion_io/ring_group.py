"""Several rings on one listener: the first ring accepts for all and assigns connections round-robin.

With an accept in each ring, the kernel would wake the first in line: three rings got 63, 27 and 0 of 90
connections.
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
    """A thread with a ring and a mailbox. `run` creates the ring, calls `on_started`, and loops."""

    row: BoardRow
    sockets: CompletionQueue
    mailbox: Mailbox

    def run(self, on_started: Callable[[], object]) -> None:
        """Create the ring on this thread, call `on_started`, and run until the engine has drained."""
        ...


def run_rings(kind: Callable[[Setup, BoardRow], RingThread], listener: socket.socket, setup: Setup) -> None:
    """Run the first ring on this thread and each other ring on its own, until the engine must stop."""
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
    """Accept, assign, and drain when the engine must stop. First ring's thread, once all rings run."""
    first, *others = rings
    in_turn = cycle(rings)

    def assign(sock: socket.socket) -> None:
        ring = next(in_turn)
        if ring is first:
            ring.sockets.open(sock)
        else:
            ring.mailbox.post(ring.sockets.open, sock)

    def drain() -> None:
        """Drain the first ring, then the others; the mailbox keeps the order."""
        setup.handler.draining = True
        first.sockets.drain(lambda: [ring.mailbox.post(ring.sockets.drain) for ring in others])

    first.sockets.listen(listener, assign, count=lambda: sum(len(ring.sockets.by_fd) for ring in rings))
    first.sockets.watch(setup.stopping, drain, once=True)
