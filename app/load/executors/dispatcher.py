"""The dispatcher: free connections, the backlog, and every event that the hot loops do not handle themselves.

Both models of load use it. What a connection does when it becomes free is up to the executor: `on_free`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.pooled_connection import PooledConnection
from app.load.connections.request_kind import RequestKind
from app.load.connections.request_mix import RequestMix
from app.load.executors.ramp import Ramp
from app.load.executors.timer import NEVER_NS, Timer

POLL_S = 0.05  # the longest wait: ticks, timeouts and a stop are noticed that late at most
EVENTS_MAX = 256  # per poll


class Ticker(Protocol):
    """What is called at regular intervals while the load runs:

    `tick`, as soon as the clock is past `tick_at` (ns).
    """

    tick_at: int

    def tick(self, now: int) -> None:
        """Called between two polls; it delays the load for as long as it takes."""


class Executor(Protocol):
    """Decides when requests are sent: the closed or the open model."""

    def run(self, mix: RequestMix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        """Block while it offers the load of one phase: until `until_ns`, or until it is stopped."""


class _NoTicker:
    tick_at = NEVER_NS

    def tick(self, now: int) -> None: ...


class Dispatcher:
    """Gives free connections to the executor, and handles events outside of its hot loop. One thread.

    - `free`: connections without a request in flight.
    - `backlog`: requests of the open model that found no free connection: when they were due, when they were
      queued, and their kind.
    - `pick`: returns the kind of the next request; None: the load has not begun, or is over.
    - `on_free`: the executor's rule for a connection without a request in flight.
    - `intended`: requests that were due. `late`: of these, the ones that were handled (sent or queued) more
      than 1 ms late. `waited`: the ones that were queued. A request may be in both. `lateness_us`: how late
      each was handled, since the last tick.
    - `stopped`: set by a signal handler.
    """

    def __init__(self, pool: ConnectionPool, timer: Timer, is_open: bool) -> None:
        self.pool = pool
        self.timer = timer
        self.is_open = is_open
        self.ticker: Ticker = _NoTicker()
        self.stopped = False
        self.free: deque[PooledConnection] = deque()
        self.backlog: deque[tuple[int, int, RequestKind]] = deque()
        self.pick: Callable[[], RequestKind] | None = None
        self.intended = self.late = self.waited = 0
        self.lateness_us: list[int] = []
        self.on_free: Callable[[PooledConnection, int], None] = self.add_free

    @property
    def in_flight(self) -> int:
        """How many requests are in flight.

        The hot loops do not count them: a connected connection that is not free has a request in flight.
        """
        if self.pool.counts_in_flight:
            return self.pool.in_flight
        return self.pool.connected - len(self.free)

    def add_free(self, connection: PooledConnection, _now: int) -> None:
        """Add a connection that has no request in flight."""
        self.free.append(connection)

    def remove_free(self, connection: PooledConnection) -> None:
        """Remove a connection that is closed. O(n), but rare."""
        if connection in self.free:
            self.free.remove(connection)

    def tick(self, now: int) -> None:
        """Maintain the pool, and call the ticker."""
        self.pool.maintain(now)
        self.ticker.tick(now)

    def handle_event(self, connection: ClientConnection, now: int) -> None:
        """Handle one event, outside of the hot loops."""
        if not connection.sent_at:
            connection.on_event(now)
            return
        try:
            ended = connection.process_response(connection.recv(connection.kind.recv_bytes), now)
        except OSError as error:
            connection.handle_error(error, now)
            return
        if ended:
            connection.sent_at = 0
            self.on_free(connection, now)

    def run_once(self, now: int) -> None:
        """Tick if it is time, then wait for events, at most POLL_S, and handle them.

        Used outside of the load.
        """
        if now >= self.ticker.tick_at:
            self.tick(now)
        for fd, _ in self.pool.poll(POLL_S, EVENTS_MAX):
            self.handle_event(self.pool.by_fd[fd], monotonic_ns())

    def drain(self, until_ns: int) -> None:
        """Block until all responses have arrived and the backlog is sent, or until `until_ns`."""
        self.pick = None
        self.timer.set(NEVER_NS)
        self.pool.flush_slow(monotonic_ns())
        while (self.in_flight or self.backlog or self.pool.slow_connected) and (
            now := monotonic_ns()
        ) < until_ns:
            self.run_once(now)
