"""The limit of open connections: lower than the number of file descriptors, with a reserve for engines.

When the limit is reached, a connection that waits for its client is closed for each new one: first the oldest that has
never completed a request, then the oldest. Clients that send no request cannot lock out those that do.
"""

from __future__ import annotations

import logging
import resource
from itertools import chain
from typing import Protocol

CONNECTIONS_MAX = 512
CONNECTIONS_MIN = 16  # even if that cuts into the reserve
ACCEPT_BATCH = 32  # connections that asyncio accepts in one iteration of the event loop
RESERVED = 64  # history, log, event loop, load generators
RESERVED_PER_ENGINE = 12

logger = logging.getLogger("threadlab.connections")


class Evictable(Protocol):
    """A connection that waits for its client."""

    def evict(self) -> None:
        """Close it immediately."""


class ConnectionLimit:
    """Keeps the waiting connections in order; the caller passes the number of open ones. Event loop only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._unserved: dict[Evictable, None] = {}  # the oldest first
        self._served: dict[Evictable, None] = {}

    def mark_waiting(self, connection: Evictable, served: bool) -> None:
        """`connection` now waits for its client and may be closed. `served`: it has completed a request."""
        self.mark_busy(connection)
        (self._served if served else self._unserved)[connection] = None

    def mark_busy(self, connection: Evictable) -> None:
        """`connection` is being handled, or is closed: it must not be evicted."""
        self._unserved.pop(connection, None)
        self._served.pop(connection, None)

    def admit(self, connections: int) -> bool:
        """Return whether a new connection may stay, evicting a waiting one if necessary.

        connections: the number of open connections, including the new one.
        """
        if connections <= self.most:
            return True
        oldest = next(chain(self._unserved, self._served), None)
        if oldest is None:
            logger.warning("All %d connections are busy: a new one was refused.", self.most)
            return False
        logger.warning("Limit of %d connections reached: a waiting one was closed.", self.most)
        self.mark_busy(oldest)
        oldest.evict()
        return True


def raise_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors to the hard limit, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_for(descriptors: int, engines: int) -> int:
    """Return the connection limit for a number of file descriptors and of engines."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    spare = descriptors - RESERVED - RESERVED_PER_ENGINE * engines - 2 * ACCEPT_BATCH
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, spare))
