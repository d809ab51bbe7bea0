"""Several rings on one listener: the first accepts for all and deals in turn.

Each could have an accept of its own, but the kernel wakes whoever is first in line: of 90 connections three rings
got 63, 27 and 0.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import cycle
from typing import Protocol

from engines.common.completion_queue import CompletionQueue
from engines.common.contract import Setup
from engines.common.mailbox import Mailbox


class HasRing(Protocol):
    """A thread with a ring, and a mailbox for other threads."""

    sockets: CompletionQueue
    mailbox: Mailbox


def accept_for_all(rings: Sequence[HasRing], listener: socket.socket, setup: Setup) -> None:
    """On the first ring's thread, once all are up: accept, deal, and drain when told to stop."""
    first, *others = rings
    in_turn = cycle(rings)

    def deal(sock: socket.socket) -> None:
        ring = next(in_turn)
        if ring is first:
            ring.sockets.open(sock)
        else:
            ring.mailbox.post(ring.sockets.open, sock)

    def drain() -> None:
        """Each other ring drains after what it was dealt: its mailbox keeps the order."""
        setup.handle.draining = True
        first.sockets.drain(lambda: [ring.mailbox.post(ring.sockets.drain) for ring in others])

    first.sockets.listen(listener, deal, held=lambda: sum(len(ring.sockets.by_fd) for ring in rings))
    first.sockets.watch(setup.stopping, drain, once=True)
