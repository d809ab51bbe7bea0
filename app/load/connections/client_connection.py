"""A keep-alive connection: one request at a time, again and again. The other kinds of client derive from it.

The hot loops of the executors read `sent_at`. If it is not 0 they read the response themselves and compare it
with what they expect. If it is 0 they call `on_event`. Everything in this module except `send_request` is off
the hot path: a response that differs from the expected one, comes in pieces or comes unasked; a request that
does not fit into the socket buffer; a connection that breaks.
"""

from __future__ import annotations

import select
import socket

from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.error_names import error_name
from app.load.connections.request_kind import RequestKind
from app.load.connections.response_head import InvalidResponse
from app.load.connections.response_reader import BAD_LENGTH, ResponseReader


class ClientConnection:
    """A connection of the load. See `PooledConnection` for what the pool requires of it.

    - `kind`: the kind of the request in flight, or of the last one.
    - `intended_at`, `handled_at`: when the request was due, and when the generator handled it; see
      `KindOutcome`.
    - `reader`: of a response that the hot loops did not accept as a whole. `received`: its bytes so far.
    - `unsent`: the part of the request that the kernel has not taken.
    - `completed`: correct responses so far, also on earlier sockets of this connection. The hot loops count
      it, which costs 0.04 µs of about 18 µs per request.
    - `recv`, `send`: those of the socket, bound once.
    """

    __slots__ = (
        "completed",
        "connecting_since",
        "due_at",
        "fd",
        "handled_at",
        "intended_at",
        "kind",
        "pool",
        "reader",
        "received",
        "recv",
        "send",
        "sent_at",
        "sock",
        "started_at",
        "unsent",
    )

    def __init__(self, pool: ConnectionPool, kind: RequestKind) -> None:
        self.pool = pool
        self.kind = kind
        self.reader = ResponseReader()
        self.sock: socket.socket | None = None
        self.fd = -1
        self.connecting_since = self.intended_at = self.handled_at = self.due_at = 0
        self.sent_at = self.started_at = self.completed = 0
        self.reset_response()

    def reset_response(self) -> None:
        """Prepare for the first byte of a response."""
        self.received = 0
        self.reader.reset()
        self.unsent: memoryview | None = None

    def attach(self, sock: socket.socket, now: int) -> None:
        """Use a new socket, which begins to connect at `now`."""
        self.sock, self.fd = sock, sock.fileno()
        self.recv, self.send = sock.recv, sock.send
        self.connecting_since, self.sent_at = now, 0
        self.reset_response()

    @property
    def is_connecting(self) -> bool:
        return self.connecting_since != 0

    @property
    def in_flight_since(self) -> int:
        """When the request in flight was sent; 0: none is in flight."""
        return self.sent_at or self.started_at

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return 1 if self.in_flight_since else 0

    # Opening and closing

    def schedule_open(self) -> None:
        """Add itself to the pool's queue of connections to be opened."""
        self.pool.to_open.append(self)

    def open(self, now: int) -> None:
        """Begin to connect."""
        self.pool.connect(self, now)

    def on_connected(self, now: int) -> None:
        """Called by the pool when connect() has succeeded."""
        self.pool.opening -= 1
        self.pool.connected += 1
        self.pool.release(self, now)

    def on_close(self) -> None:
        """Called by the pool before the socket is closed: updates its counters."""
        if self.is_connecting:
            self.pool.opening -= 1
            return
        self.pool.connected -= 1
        if not self.in_flight_since:
            self.pool.remove_free(self)

    def fail(self, error: str, now: int) -> None:
        """Count the request in flight as failed, and open the connection again."""
        self.count_failure(error, now)
        self.pool.reopen(self, now)

    def abandon(self, error: str, now: int) -> None:
        """Count the request in flight as failed, and close the connection.

        Called at the end of the drain.
        """
        self.count_failure(error, now)
        self.pool.close(self)

    def count_failure(self, error: str, now: int) -> None:
        """Count the request in flight as failed."""
        self.pool.count_error(self.kind, error, now - self.in_flight_since, self.received)

    def handle_error(self, error: OSError, now: int) -> None:
        """Handle an error of recv() or send() with a request in flight.

        EAGAIN is none: the rest is sent if need be.
        """
        if not isinstance(error, BlockingIOError):
            self.fail(error_name(error), now)
        elif self.unsent is not None:
            self.send_unsent(now)

    # Sending

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        """Send as much of a request as the kernel takes; the rest is sent when the socket is writable.

        There must be none in flight. (The closed hot loop has its own copy of these lines.)

        `intended_at` is when it was due, `queued_at` when it was put into the backlog; 0: it was not.
        """
        self.kind, self.intended_at, self.handled_at, self.sent_at = kind, intended_at, queued_at or now, now
        try:
            sent = self.send(kind.request)
            if sent != kind.request_bytes:
                self.keep_unsent(kind.request, sent)
        except BlockingIOError:
            self.keep_unsent(kind.request, 0)
        except OSError as error:
            self.handle_error(error, now)

    def keep_unsent(self, data: bytes, sent: int) -> None:
        """Keep what the kernel has not taken of `data`, to send it when the socket is writable."""
        self.unsent = memoryview(data)[sent:]
        self.pool.epoll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def send_unsent(self, now: int) -> None:
        """Send more of what is left of the request."""
        assert self.unsent is not None
        try:
            self.unsent = self.unsent[self.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error_name(error), now)
            return
        if not self.unsent:
            # Wait for EPOLLOUT only while bytes are unsent: a socket is nearly always writable, and the loop
            # would spin.
            self.unsent = None
            self.pool.epoll.modify(self.fd, select.EPOLLIN)

    # Receiving

    def on_event(self, now: int) -> None:
        """Handle an event while no response is expected: connected, closed, or unexpected bytes."""
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            self._handle_unexpected(now)

    def process_response(self, data: bytes, now: int) -> bool:
        """Process bytes that the hot loops did not accept as a whole response; empty: the server closed.

        Returns whether the request has ended and the connection can send the next one.
        """
        if not data and not self.reader.ends_by_close:
            self.fail("closed", now)
            return False
        try:
            complete = not data or self.append_response(data)
        except InvalidResponse:
            self.fail("bad_answer", now)
            return False
        return complete and self._check_response(now)

    def append_response(self, data: bytes) -> bool:
        """Add bytes to the response. Returns whether it is complete. Raises InvalidResponse."""
        self.received += len(data)
        self.reader.rule = self.kind.rule
        return self.reader.feed(data)

    def _check_response(self, now: int) -> bool:
        """Record a complete response as correct or as an error.

        Returns whether the next request can be sent.
        """
        reader, kind = self.reader, self.kind
        assert reader.head is not None
        # A response that comes before the whole request was sent (413): the server would read the rest as a
        # request.
        closes = reader.head.closes or reader.ends_by_close or self.unsent is not None
        error = BAD_LENGTH if reader.rest else reader.error
        if error == BAD_LENGTH:
            self.fail(error, now)
            return False
        if error:
            self.count_failure(error, now)
        else:
            self.completed += 1
            kind.record(reader, now, self.in_flight_since, self.intended_at, self.handled_at)
        return self.finish_response(closes, now)

    def finish_response(self, closes: bool, now: int) -> bool:
        """Prepare for the next request, and reopen the connection if it `closes`.

        Returns whether the next request can be sent.
        """
        self.reset_response()
        if closes:
            self.pool.reconnects += 1
            self.pool.reopen(self, now)
        return not closes

    def _handle_unexpected(self, now: int) -> None:
        """Reopen a free connection that the server has closed (it may), or on which it has sent bytes."""
        try:
            data = self.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.pool.errors["unasked_bytes"] += 1
        else:
            self.pool.reconnects += 1
        self.pool.reopen(self, now)
