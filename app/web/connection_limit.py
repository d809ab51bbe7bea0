"""How many connections the control plane keeps: fewer than its descriptors, with a reserve for engines.

Where a new one finds no place, one that waits for its client makes room: first the oldest of those that were never
served, then the oldest. So nobody who sends a whole request is kept out by those who send none.
"""

from __future__ import annotations

import logging
import resource
from itertools import chain
from typing import Protocol

CONNECTIONS_MAX = 512
CONNECTIONS_MIN = 16  # also where there are too few descriptors for the reserve: somebody has to be served
ACCEPTED_AT_ONCE = 32  # so many may come before the first of them is looked at
RESERVED = 64  # history, log, event loop, load generators
RESERVED_PER_ENGINE = 12

logger = logging.getLogger("threadlab.connections")


class Evictable(Protocol):
    """A connection that waits for its client."""

    def evict(self) -> None:
        """Close it at once."""


class ConnectionLimit:
    """Counts nothing itself: it is told how many are open, and which of them wait. Event loop only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._strangers: dict[Evictable, None] = {}  # the oldest first
        self._served: dict[Evictable, None] = {}

    def waits(self, connection: Evictable, served: bool) -> None:
        """From now on `connection` waits for its client, and may be closed when room is needed."""
        self.works(connection)
        (self._served if served else self._strangers)[connection] = None

    def works(self, connection: Evictable) -> None:
        """It has sent what is needed, or is gone: it is not closed for others."""
        self._strangers.pop(connection, None)
        self._served.pop(connection, None)

    def make_room(self, connections: int) -> bool:
        """Whether one more may stay, of `connections` with it; one that waits is closed for it if need be."""
        if connections <= self.most:
            return True
        oldest = next(chain(self._strangers, self._served), None)
        if oldest is None:
            logger.warning("All %d connections are at work: a new one was refused.", self.most)
            return False
        logger.warning("All %d connections are taken: one that waited for its client was closed.", self.most)
        self.works(oldest)
        oldest.evict()
        return True


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and answer it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_for(descriptors: int, engines: int) -> int:
    """How many connections to keep with so many descriptors and up to so many engines."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    spare = descriptors - RESERVED - RESERVED_PER_ENGINE * engines - 2 * ACCEPTED_AT_ONCE
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, spare))
