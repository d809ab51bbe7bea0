"""The connections of a shard. An active one has one request in flight at a time; others have manners of their own.

The hot loops read `sent_at`: it is 0 while nothing is in flight that they may take, and then they call `ready`.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from app.load.connections.error_names import error_name
from app.load.connections.request_mix import RequestKind
from app.load.connections.response_head import ResponseHead
from app.load.connections.response_reader import handle_unexpected

if TYPE_CHECKING:
    from app.load.connections.connection_pool import ConnectionPool

CONNECT_EVENTS = select.EPOLLOUT


class ClientConnection:
    """Keep-alive: one request at a time, on one connection, again and again."""

    __slots__ = (
        "buffer",
        "connecting_since",
        "due_at",
        "fd",
        "handled_at",
        "head",
        "intended_at",
        "kind",
        "pool",
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
        self.sock: socket.socket | None = None
        self.fd = -1
        self.connecting_since = self.intended_at = self.handled_at = self.due_at = 0
        self.sent_at = 0  # in flight since, for the hot loops
        self.started_at = 0  # in flight since, where this peer takes its own events
        self.reset_response()

    def reset_response(self) -> None:
        """Be ready to read an answer from its first byte."""
        self.received = 0
        self.buffer = b""
        self.head: ResponseHead | None = None
        self.unsent: memoryview | None = None

    def attach(self, sock: socket.socket, now: int) -> None:
        self.sock, self.fd = sock, sock.fileno()
        self.recv, self.send = sock.recv, sock.send
        self.connecting_since, self.sent_at = now, 0
        self.reset_response()

    @property
    def is_connecting(self) -> bool:
        return self.connecting_since != 0

    @property
    def in_flight_since(self) -> int:
        """When what is in flight was sent; 0: nothing is."""
        return self.sent_at or self.started_at

    @property
    def in_flight(self) -> int:
        """Answers in flight."""
        return 1 if self.in_flight_since else 0

    def schedule_open(self) -> None:
        """Be opened, or opened again, when its turn comes."""
        self.pool.to_open.append(self)

    def open(self, now: int) -> None:
        self.pool.connect(self, now)

    def on_connected(self, now: int) -> None:
        """The connection is there."""
        self.pool.opening -= 1
        self.pool.connected += 1
        self.pool.release(self, now)

    def on_close(self) -> None:
        """The connection is about to be closed: it counts no more."""
        if self.is_connecting:
            self.pool.opening -= 1
            return
        self.pool.connected -= 1
        if not self.in_flight_since:
            self.pool.remove_free(self)

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        """Send a request; nothing is in flight (the closed hot loop has its own copy of these lines).

        `queued`: when it was put into the backlog; 0 if it was not.
        """
        self.kind, self.intended_at, self.handled_at, self.sent_at = kind, intended_at, queued_at or now, now
        try:
            sent = self.send(kind.request)
            if sent != kind.request_bytes:
                self.keep_unsent(kind.request, sent)
        except BlockingIOError:
            self.keep_unsent(kind.request, 0)
        except OSError as error:
            self.pool.handle_error(self, error, now)

    def on_event(self, now: int) -> None:
        """Something happened while nothing was in flight."""
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            handle_unexpected(self.pool, self, now)

    def finish_response(self, closes: bool, now: int) -> bool:
        """An answer is whole; True when the next request can be sent here."""
        self.reset_response()
        if closes:
            self.pool.reconnects += 1
            self.pool.reopen(self, now)
        return not closes

    def fail(self, error: str, now: int) -> None:
        """What is in flight is lost, and with it the connection."""
        self.count_failure(error, now)
        self.pool.reopen(self, now)

    def abandon(self, error: str, now: int) -> None:
        """The same at the end of the load: it is not opened again."""
        self.count_failure(error, now)
        self.pool.close(self)

    def count_failure(self, error: str, now: int) -> None:
        self.pool.count_error(self.kind, error, now - self.in_flight_since, self.received)

    # Requests that do not fit into one send

    def keep_unsent(self, data: bytes, sent: int) -> None:
        """The kernel took only a part of what was to be sent: send the rest as it makes room."""
        self.unsent = memoryview(data)[sent:]
        self.pool.epoll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def send_unsent(self, now: int) -> None:
        """There may be room for more of it."""
        assert self.unsent is not None
        try:
            self.unsent = self.unsent[self.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error_name(error), now)
            return
        if not self.unsent:
            # Ask for writability only while bytes are waiting, or the loop never sleeps.
            self.unsent = None
            self.pool.epoll.modify(self.fd, select.EPOLLIN)
