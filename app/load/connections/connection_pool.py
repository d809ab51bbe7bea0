"""The connection pool: opens, closes and reopens the connections of a shard, and ends those that time out.

Nothing here is on the hot path.
"""

from __future__ import annotations

import errno
import select
import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from app.load.connections.error_names import error_name
from app.load.connections.pooled_connection import PooledConnection, PoolOwner, SteppedConnection
from app.load.connections.request_kind import RequestKind

CONNECTING_MAX = 128  # connections that connect at the same time: below every usual accept queue
IDLE_CONNECTING_MAX = (
    96  # of these, idle ones: if the server serves none of them, the load can still reconnect
)
RETRY_EVERY_NS = (
    50_000_000  # one attempt while the target refuses, so that refusals do not become a busy loop
)
TIMEOUT_SCAN_EVERY_NS = 250_000_000  # a scan of 10,000 connections takes 0.9 ms


class _IgnoreEvents:
    """The handler of a closed descriptor, of which epoll may already have returned an event."""

    sent_at = 0  # for the hot loops: no request in flight

    def on_event(self, _now: int) -> None: ...


IGNORE_EVENTS = _IgnoreEvents()


class ConnectionPool:
    """The connections of a shard. One thread.

    - `by_fd`: the handler of each descriptor, for the hot loops: a connection, or an object with `sent_at` 0
      and `on_event(now)`.
    - `connections`: all of them, open or not. `slow`: those of slow clients.
    - `to_open`: queue of those to be opened. `idle_to_open`: of idle ones, which are opened when `to_open` is
      empty.
    - `reserve`: those that a ramp has not started yet, or has taken out of the load again.
    - `counted`: the active connections, if the responses of each one can be compared: not with churn, where
      a connection has one request, and not in a ramp, which opens them at different times.
    - `active`: how many belong to the load now: neither in the reserve nor in the background.
    - `opening`, `connected`: how many connect, and how many of the load are open. `idle_opening`: of
      `opening`, the idle ones. `idle_held`, `slow_connected`: open background connections. `peak`: the most
      that were open at once.
    - `counts_in_flight`: whether the connections keep `in_flight`, because they handle their events
      themselves.
    - `background_responses`: responses on idle and slow connections. `slow_closed`: slow connections that the
      server closed, which it may do.
    - `errors`: errors of connections, which belong to no request. `request_errors`: failed requests.
      `failed_ns`: the time that these were in flight. `reconnects`: connections that the server closed.
    - `connect_failures`: failed attempts to connect since the last success.
    """

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.address = address
        self.timeout_ns = int(timeout_s * 1e9)
        self.epoll = select.epoll()
        self.poll: Callable[[float, int], list[tuple[int, int]]] = self.epoll.poll
        self.owner: PoolOwner | None = None
        self.by_fd: list[Any] = []
        self.connections: list[PooledConnection] = []
        self.counted: Sequence[PooledConnection] = ()
        self.slow: list[SteppedConnection] = []
        self.to_open: deque[PooledConnection] = deque()
        self.idle_to_open: deque[PooledConnection] = deque()
        self.reserve: deque[PooledConnection] = deque()
        self.active = self.opening = self.connected = self.peak = 0
        self.idle_opening = self.idle_held = self.slow_connected = 0
        self.counts_in_flight = False
        self.in_flight = 0
        self.background_responses = self.slow_closed = 0
        self.errors: Counter[str] = Counter()
        self.request_errors = self.reconnects = self.failed_ns = 0
        self.connect_failures = 0
        self._scan_at = self._retry_at = 0

    def set_handler(self, fd: int, handler: Any) -> None:
        """Make `handler.on_event` the handler of a descriptor that is registered with `epoll`."""
        if fd >= len(self.by_fd):
            self.by_fd.extend([IGNORE_EVENTS] * (fd + 1024 - len(self.by_fd)))
        self.by_fd[fd] = handler

    # Opening

    def maintain(self, now: int) -> None:
        """Open connections, let slow clients act, and fail what has timed out. Called once a tick."""
        if not self.connect_failures:
            self.open_pending(now)
        elif now >= self._retry_at:
            self._retry_at = now + RETRY_EVERY_NS
            self.open_pending(now, 1)
        for slow in self.slow:
            if now >= slow.due_at:
                slow.step(now)
        if now >= self._scan_at:
            self._scan_at = now + TIMEOUT_SCAN_EVERY_NS
            self._fail_overdue(now - self.timeout_ns)

    def open_pending(self, now: int, limit: int = CONNECTING_MAX) -> None:
        """Begin to open up to `limit` of the queued connections."""
        while limit > 0 and self.opening < CONNECTING_MAX and (queue := self._next_queue()):
            limit -= 1
            queue.popleft().open(now)

    def _next_queue(self) -> deque[PooledConnection] | None:
        if self.to_open:
            return self.to_open
        return self.idle_to_open if self.idle_opening < IDLE_CONNECTING_MAX else None

    def new_socket(self) -> socket.socket:
        """Return a non-blocking TCP socket of the target's address family, with TCP_NODELAY."""
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, connection: PooledConnection, now: int, receive_buffer_bytes: int = 0) -> None:
        """Begin to connect; `finish_connect` is to be called when the socket is writable.

        `receive_buffer_bytes` is SO_RCVBUF; 0: the kernel's default.
        """
        sock = self.new_socket()
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.opening += 1
        connection.attach(sock, now)
        self.epoll.register(connection.fd, select.EPOLLOUT)
        self.set_handler(connection.fd, connection)
        code = sock.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            self._connect_failed(connection, error_name(code))

    def finish_connect(self, connection: PooledConnection, now: int) -> None:
        """Check whether connect() has succeeded, and tell the connection."""
        assert connection.sock is not None
        if code := connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._connect_failed(connection, error_name(code))
            return
        connection.connecting_since = 0
        self.connect_failures = 0
        self.epoll.modify(connection.fd, select.EPOLLIN)
        connection.on_connected(now)
        self.update_peak()
        self.open_pending(now)

    def add_connected(self, connection: PooledConnection) -> None:
        """Add a connection that has called connect() itself, and wait for its responses."""
        self.epoll.register(connection.fd, select.EPOLLIN)
        self.set_handler(connection.fd, connection)
        self.connected += 1
        self.update_peak()

    def update_peak(self) -> None:
        """Update `peak` after a connection was opened."""
        self.peak = max(self.peak, self.connected + self.idle_held + self.slow_connected)

    def _connect_failed(self, connection: PooledConnection, error: str) -> None:
        self.connect_failures += 1
        self.errors[f"connect_{error}"] += 1
        self.close(connection)
        connection.schedule_open()

    # Use

    def release(self, connection: PooledConnection, now: int) -> None:
        """Give the owner a connection that has no request in flight."""
        assert self.owner
        self.owner.on_free(connection, now)

    def remove_free(self, connection: PooledConnection) -> None:
        """Tell the owner that a connection without a request in flight is closed."""
        if self.owner:
            self.owner.remove_free(connection)

    def pick(self) -> RequestKind:
        """Return the kind of the next request."""
        assert self.owner and self.owner.pick
        return self.owner.pick()

    def activate(self, limit: int, now: int) -> None:
        """Move up to `limit` connections from the reserve into the load."""
        for _ in range(min(limit, len(self.reserve))):
            self.active += 1
            self.to_open.append(self.reserve.popleft())
        if not self.connect_failures:
            self.open_pending(now)

    def deactivate(self, connection: PooledConnection) -> None:
        """Close a connection without a request in flight, and move it to the reserve."""
        if connection.sock is not None:
            self.close(connection)
        self.active -= 1
        self.reserve.append(connection)

    def count_error(self, kind: RequestKind, error: str, took_ns: int, received: int) -> None:
        """Count a failed request, `took_ns` after it was sent and with `received` bytes of its response."""
        kind.errors[error] += 1
        kind.bytes_in += received
        self.request_errors += 1
        self.failed_ns += took_ns

    # Closing

    def close(self, connection: PooledConnection) -> None:
        """Close a connection that was opened by `connect`."""
        connection.on_close()
        self._close_socket(connection)
        connection.sent_at = connection.started_at = connection.connecting_since = 0

    def close_connected(self, connection: PooledConnection) -> None:
        """Close a connection that has called connect() itself."""
        if connection.sock is None:
            return
        if self.by_fd[connection.fd] is connection:
            self.connected -= 1
            self._close_socket(connection)
        else:  # it failed before `add_connected`
            connection.sock.close()
            connection.sock = None

    def _close_socket(self, connection: PooledConnection) -> None:
        # The handler is removed first: the next socket gets the same descriptor.
        assert connection.sock is not None
        self.epoll.unregister(connection.fd)
        self.by_fd[connection.fd] = IGNORE_EVENTS
        connection.sock.close()
        connection.sock = None

    def reopen(self, connection: PooledConnection, now: int) -> None:
        """Close a connection and open it again, unless the target refuses connections at the moment."""
        self.close(connection)
        connection.schedule_open()
        if not self.connect_failures:
            self.open_pending(now)

    def _fail_overdue(self, before: int) -> None:
        now = before + self.timeout_ns
        for each in [
            c for c in self.connections if 0 < (c.sent_at or c.started_at or c.connecting_since) < before
        ]:
            if each.is_connecting:
                self._connect_failed(each, "timeout")
            else:
                each.fail("timeout", now)

    def abandon_in_flight(self, now: int) -> None:
        """Count all requests in flight as timeouts and close their connections.

        Called at the end of the drain.
        """
        for connection in self.connections:
            if connection.in_flight_since:
                connection.abandon("timeout", now)

    def flush_slow(self, now: int) -> None:
        """Let slow clients read the rest of their responses at full speed. Called at the end of the load."""
        for connection in self.slow:
            connection.flush(now)
