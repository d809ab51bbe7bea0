"""The crew: opens, closes and reopens connections, and names what went wrong.

Everything here is off the hot path. An `OSError` of a connection becomes an error kind in `broke`, and only there.
"""

from __future__ import annotations

import errno
import select
import socket
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

from app.load.connections.client_connection import CONNECT_EVENTS, ClientConnection
from app.load.connections.error_names import error_name
from app.load.connections.request_mix import RequestKind
from app.load.connections.slow_connection import SlowConnection

CONNECTING_MAX = 128  # opening at the same time: below every usual accept queue
IDLE_CONNECTING_MAX = (
    96  # of them of the idle crowd: a server that serves none of it leaves the load room to open again
)
RETRY_EVERY_NS = 50_000_000  # while the target refuses: each attempt is an error, and none of them spins
TIMEOUT_SCAN_EVERY_NS = 250_000_000  # a scan of 10,000 peers takes 0.9 ms


class PoolOwner(Protocol):
    """What the crew needs of the floor."""

    pick: Callable[[], RequestKind] | None
    on_free: Callable[[ClientConnection, int], None]

    def remove_free(self, connection: ClientConnection) -> None: ...


class _NoHandler:
    """At the place of a descriptor that was closed while an event of it was on its way."""

    sent_at = 0  # to the hot loops it looks like a peer with nothing in flight

    def on_event(self, _now: int) -> None: ...


NO_HANDLER = _NoHandler()


class ConnectionPool:
    """The connections of a shard, by descriptor in `table` for the hot loops."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.address = address
        self.timeout_ns = int(timeout_s * 1e9)
        self.epoll = select.epoll()
        self.poll: Callable[[float, int], list[tuple[int, int]]] = self.epoll.poll
        self.by_fd: list[Any] = []
        self.connections: list[ClientConnection] = []
        self.slow: list[SlowConnection] = []
        self.to_open: deque[ClientConnection] = deque()  # to be opened
        self.idle_to_open: deque[ClientConnection] = (
            deque()
        )  # of the idle crowd, to be opened when the load wants nothing
        self.reserve: deque[ClientConnection] = deque()  # not yet called up by a ramp, or retired by it
        self.active = (
            0  # connections that the load itself has or wants: all but the reserve and who stands beside
        )
        self.opening = self.connected = self.idle_held = self.slow_connected = self.peak = 0
        self.idle_opening = 0  # of those that are opening: of the idle crowd
        self.counts_in_flight = (
            False  # these peers take their own events, and count in `owed` what is in flight
        )
        self.in_flight = 0
        self.background_responses = (
            0  # answers to those that stand beside the load: the idle crowd and the slow
        )
        self.slow_closed = 0  # slow ones that the server closed, which is its right
        self.errors: Counter[str] = Counter()  # those that belong to no request
        self.request_errors = self.reconnects = self.failed_ns = 0
        self.connect_failures = 0  # refused or timed out in a row
        self.scan_at = self.retry_at = 0
        self.owner: PoolOwner | None = None

    def set_handler(self, fd: int, handler: Any) -> None:
        """Let `handler.ready` be called for a descriptor that is registered already."""
        if fd >= len(self.by_fd):
            self.by_fd.extend([NO_HANDLER] * (fd + 1024 - len(self.by_fd)))
        self.by_fd[fd] = handler

    # Opening

    def maintain(self, now: int) -> None:
        """Once a tick: reopen what is closed, end what takes too long."""
        if not self.connect_failures:
            self.open_pending(now)
        elif now >= self.retry_at:
            self.retry_at = now + RETRY_EVERY_NS
            self.open_pending(now, 1)
        for slow in self.slow:
            if now >= slow.due_at:
                slow.step(now)
        if now >= self.scan_at:
            self.scan_at = now + TIMEOUT_SCAN_EVERY_NS
            self._fail_overdue(now - self.timeout_ns)

    def open_pending(self, now: int, limit: int = CONNECTING_MAX) -> None:
        while limit > 0 and self.opening < CONNECTING_MAX and (queue := self._next_queue()):
            limit -= 1
            queue.popleft().open(now)

    def _next_queue(self) -> deque[ClientConnection] | None:
        if self.to_open:
            return self.to_open
        return self.idle_to_open if self.idle_opening < IDLE_CONNECTING_MAX else None

    def new_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, connection: ClientConnection, now: int, receive_buffer_bytes: int = 0) -> None:
        """Begin to open a peer's connection; `finish_opening` when it is there."""
        sock = self.new_socket()
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.opening += 1
        connection.attach(sock, now)
        self.epoll.register(connection.fd, CONNECT_EVENTS)
        self.set_handler(connection.fd, connection)
        code = sock.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            self._connect_failed(connection, error_name(code))

    def add_connected(self, connection: ClientConnection, events: int) -> None:
        """Count a connection that its peer has opened by itself, and watch it."""
        self.epoll.register(connection.fd, events)
        self.set_handler(connection.fd, connection)
        self.connected += 1
        self.update_peak()

    def finish_connect(self, connection: ClientConnection, now: int) -> None:
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

    def update_peak(self) -> None:
        self.peak = max(self.peak, self.connected + self.idle_held + self.slow_connected)

    def release(self, connection: ClientConnection, now: int) -> None:
        """A peer has nothing in flight: what it does next is the executor's rule."""
        assert self.owner
        self.owner.on_free(connection, now)

    def remove_free(self, connection: ClientConnection) -> None:
        """A peer without anything in flight is gone."""
        if self.owner:
            self.owner.remove_free(connection)

    def pick(self) -> RequestKind:
        """The next kind of the mix."""
        assert self.owner and self.owner.pick
        return self.owner.pick()

    def activate(self, limit: int, now: int) -> None:
        """Bring peers of the reserve into the load."""
        for _ in range(min(limit, len(self.reserve))):
            self.active += 1
            self.to_open.append(self.reserve.popleft())
        if not self.connect_failures:
            self.open_pending(now)

    def deactivate(self, connection: ClientConnection) -> None:
        """Send a peer without anything in flight back to the reserve."""
        if connection.sock is not None:
            self.close(connection)
        self.active -= 1
        self.reserve.append(connection)

    def _connect_failed(self, connection: ClientConnection, error: str) -> None:
        self.connect_failures += 1
        self.errors[f"connect_{error}"] += 1
        self.close(connection)
        connection.schedule_open()

    # Closing

    def close(self, connection: ClientConnection) -> None:
        """Forget the descriptor before closing it, or a late event finds the next owner of its number."""
        assert connection.sock is not None
        connection.on_close()
        self._close_socket(connection)
        connection.sent_at = connection.started_at = connection.connecting_since = 0

    def close_connected(self, connection: ClientConnection) -> None:
        """Close a connection that its peer has opened by itself."""
        if connection.sock is None:
            return
        if self.by_fd[connection.fd] is connection:
            self.connected -= 1
            self._close_socket(connection)
        else:  # it failed before it was watched
            connection.sock.close()
            connection.sock = None

    def _close_socket(self, connection: ClientConnection) -> None:
        assert connection.sock is not None
        self.epoll.unregister(connection.fd)
        self.by_fd[connection.fd] = NO_HANDLER
        connection.sock.close()
        connection.sock = None

    def reopen(self, connection: ClientConnection, now: int) -> None:
        self.close(connection)
        connection.schedule_open()
        if not self.connect_failures:
            self.open_pending(now)

    def count_error(self, kind: RequestKind, error: str, took_ns: int, received: int) -> None:
        """A request of this kind was lost, so long after it was sent; `got` bytes had come of its answer."""
        kind.errors[error] += 1
        kind.bytes_in += received
        self.request_errors += 1
        self.failed_ns += took_ns

    def handle_error(self, connection: ClientConnection, error: OSError, now: int) -> None:
        """An operation on a peer with a request in flight failed, or would have blocked."""
        if not isinstance(error, BlockingIOError):
            connection.fail(error_name(error), now)
        elif connection.unsent is not None:
            connection.send_unsent(now)

    def _fail_overdue(self, before: int) -> None:
        now = before + self.timeout_ns
        for connection in [
            p for p in self.connections if 0 < (p.sent_at or p.started_at or p.connecting_since) < before
        ]:
            if connection.is_connecting:
                self._connect_failed(connection, "timeout")
            else:
                connection.fail("timeout", now)

    def abandon_in_flight(self, now: int) -> None:
        """The load is over and patience too: what is still in flight has timed out."""
        for connection in self.connections:
            if connection.in_flight_since:
                connection.abandon("timeout", now)

    # Those that stand beside the load

    def flush_slow(self, now: int) -> None:
        """The load is over: the slow take the rest of their answers at full speed, and go."""
        for connection in self.slow:
            connection.flush(now)
