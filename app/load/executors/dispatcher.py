"""The floor: where connections rest, what waits for one, and every event that the hot loops do not take themselves.

Both models of load stand on it. What they do with a connection that has become free is their own rule: `admit`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_mix import RequestKind, RequestMix
from app.load.connections.response_reader import process_response
from app.load.executors.ramp import Ramp
from app.load.executors.timer import NEVER_NS, Timer

POLL_S = 0.05  # how long a loop may sleep: ticks, timeouts and a stop are noticed that late at most


class Ticker(Protocol):
    """What a loop needs of the tally."""

    tick_at: int

    def tick(self, now: int) -> None: ...


class Executor(Protocol):
    """When to send: a closed model, or an open one."""

    def run(self, mix: RequestMix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        """Offer the load of one phase; it ends early where the floor is `stopped`."""


class _NoTicker:
    """No tally yet."""

    tick_at = NEVER_NS

    def tick(self, now: int) -> None: ...


class Dispatcher:
    """The connections of a shard as its executor sees them, and the counts of what it meant to send."""

    def __init__(self, pool: ConnectionPool, timer: Timer, is_open: bool) -> None:
        self.pool = pool
        self.timer = timer
        self.is_open = is_open
        self.ticker: Ticker = _NoTicker()
        self.stopped = False  # set by a signal
        self.free: deque[ClientConnection] = deque()  # nothing in flight
        # Of the open model, where no connection was free: when it was due, when it was put here, and what it is.
        self.backlog: deque[tuple[int, int, RequestKind]] = deque()
        self.pick: Callable[[], RequestKind] | None = None  # None: the load has not begun, or is over
        self.intended = self.late = self.waited = 0
        self.lateness_us: list[int] = []
        self.on_free: Callable[[ClientConnection, int], None] = (
            self.add_free
        )  # the executor's rule for a connection that is free

    @property
    def in_flight(self) -> int:
        """Requests asked and not answered. The hot loops count nothing: who is connected and does not rest, waits."""
        return self.pool.in_flight if self.pool.counts_in_flight else self.pool.connected - len(self.free)

    def add_free(self, connection: ClientConnection, _now: int) -> None:
        self.free.append(connection)

    def remove_free(self, connection: ClientConnection) -> None:
        """A resting connection is gone. Linear, and rare."""
        if connection in self.free:
            self.free.remove(connection)

    def tick(self, now: int) -> None:
        self.pool.maintain(now)
        self.ticker.tick(now)

    def handle_event(self, connection: ClientConnection, now: int) -> None:
        """One event, the slow way."""
        if not connection.sent_at:
            connection.on_event(now)
            return
        try:
            done = process_response(self.pool, connection, connection.recv(connection.kind.recv_bytes), now)
        except OSError as error:
            self.pool.handle_error(connection, error, now)
            return
        if done:
            connection.sent_at = 0
            self.on_free(connection, now)

    def run_once(self, now: int) -> None:
        """One round outside of the load: upkeep, and what there is to hear."""
        if now >= self.ticker.tick_at:
            self.tick(now)
        for fd, _ in self.pool.poll(POLL_S, 256):
            self.handle_event(self.pool.by_fd[fd], monotonic_ns())

    def drain(self, until_ns: int) -> None:
        """Take the answers still in flight, and start nothing that is not owed."""
        self.pick = None
        self.timer.set(NEVER_NS)
        self.pool.flush_slow(monotonic_ns())
        while (self.in_flight or self.backlog or self.pool.slow_connected) and (
            now := monotonic_ns()
        ) < until_ns:
            self.run_once(now)
