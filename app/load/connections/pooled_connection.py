"""What the connection pool requires: of its connections, and of its owner.

The pool knows connections only by these protocols, so that it is below them and there is no import cycle.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from app.load.connections.request_kind import RequestKind


class PooledConnection(Protocol):
    """A connection of the pool. All instants are CLOCK_MONOTONIC in ns, and 0 means "not now".

    - `sock`, `fd`: the socket, or None while there is none.
    - `connecting_since`: when connect() was called, until it has succeeded.
    - `sent_at`: when the request in flight was sent, if the hot loops may read its response.
    - `started_at`: the same, if the connection handles its events itself.
    - `completed`: correct responses so far, on all its sockets.
    - `due_at`: when it acts next: the end of its think time, or its next step.
    """

    sock: socket.socket | None
    fd: int
    connecting_since: int
    sent_at: int
    started_at: int
    due_at: int
    completed: int

    @property
    def is_connecting(self) -> bool: ...

    @property
    def in_flight_since(self) -> int:
        """When the request in flight was sent; 0: none is in flight."""

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""

    def attach(self, sock: socket.socket, now: int) -> None:
        """Use a new socket, which begins to connect at `now`."""

    def schedule_open(self) -> None:
        """Add itself to the queue of connections to be opened."""

    def open(self, now: int) -> None:
        """Begin to connect. Called when it is first in the queue."""

    def on_connected(self, now: int) -> None:
        """Called when connect() has succeeded."""

    def on_close(self) -> None:
        """Called before the socket is closed: updates the pool's counters."""

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        """Send a request. There must be none in flight."""

    def fail(self, error: str, now: int) -> None:
        """Count the request in flight as failed, and open the connection again."""

    def abandon(self, error: str, now: int) -> None:
        """Count the request in flight as failed, and close the connection."""


class SteppedConnection(PooledConnection, Protocol):
    """A slow client's connection: it acts in steps, at the instant `due_at`."""

    def step(self, now: int) -> None:
        """Send a little and read a little."""

    def flush(self, now: int) -> None:
        """Read the rest at full speed, then close."""


class PoolOwner(Protocol):
    """Who uses the connections of a pool: decides what a free one does next.

    `pick` returns the kind of the next request; None: no load. `on_free` is called with a connection that has
    no request in flight.
    """

    pick: Callable[[], RequestKind] | None
    on_free: Callable[[PooledConnection, int], None]

    def remove_free(self, connection: PooledConnection) -> None:
        """Called when a free connection is closed."""
