"""The limit of open connections, which leaves file descriptors for engines and load generators.

At the limit, each new connection replaces a waiting one: the oldest that has never completed a request, else
the oldest. Clients that send no request cannot lock out clients that do.
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
    """Decides which connections stay open. Event loop only.

    max_connections: the limit. The caller passes the number of open connections.
    """

    def __init__(self, max_connections: int) -> None:
        self.max_connections = max_connections
        self._unserved: dict[Evictable, None] = {}  # waiting connections, oldest first
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
        if connections <= self.max_connections:
            return True
        oldest = next(chain(self._unserved, self._served), None)
        if oldest is None:
            logger.warning("All %d connections are busy: a new one was refused.", self.max_connections)
            return False
        logger.warning("Limit of %d connections reached: a waiting one was closed.", self.max_connections)
        self.mark_busy(oldest)
        oldest.evict()
        return True


def raise_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors to the hard limit, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def max_connections_for(descriptors: int, engines: int) -> int:
    """Return the connection limit for a number of file descriptors and a number of engines."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    spare = descriptors - RESERVED - RESERVED_PER_ENGINE * engines - 2 * ACCEPT_BATCH
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, spare))
