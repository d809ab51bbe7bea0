"""An idle connection: it sends one request, to show that the server serves it, and then stays open."""

from __future__ import annotations

from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_kind import RequestKind
from app.load.connections.response_head import InvalidResponse


class IdleConnection(ClientConnection):
    """A background connection. If the server closes it, it is not opened again: that is a result.

    `is_held`: it was served and is open.
    """

    __slots__ = ("is_held",)

    def __init__(self, pool: ConnectionPool, kind: RequestKind) -> None:
        super().__init__(pool, kind)
        self.is_held = False

    def schedule_open(self) -> None:
        """Add itself to the pool's queue of idle connections."""
        self.pool.idle_to_open.append(self)

    def open(self, now: int) -> None:
        """Begin to connect."""
        self.pool.idle_opening += 1
        super().open(now)

    def on_connected(self, now: int) -> None:
        """Send its request. It counts as opening until it is served, so the accept queue cannot overflow."""
        try:
            self.send(self.kind.request)
        except OSError:
            self._close_failed(now)

    def on_close(self) -> None:
        """Called by the pool before the socket is closed: updates its counters."""
        self.pool.opening -= not self.is_held
        self.pool.idle_opening -= not self.is_held
        self.pool.idle_held -= self.is_held
        self.is_held = False

    def on_event(self, now: int) -> None:
        """Handle the end of connect(), its response, or the end of the connection."""
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            self._read_response(now)

    def _read_response(self, now: int) -> None:
        try:
            data = self.recv(self.kind.recv_bytes)
            complete = bool(data) and self.append_response(data)
        except BlockingIOError:
            return
        except (OSError, InvalidResponse):
            data, complete = b"", False
        if self.is_held or not data:
            self._close_failed(now)
        elif complete and (head := self.reader.head):
            self.pool.background_responses += 1
            served = self.reader.error is None and not head.closes
            (self._hold if served else self._close_failed)(now)

    def _hold(self, now: int) -> None:
        self.is_held = True
        self.pool.idle_held += 1
        self.pool.opening -= 1
        self.pool.idle_opening -= 1
        self.pool.update_peak()
        self.pool.open_pending(now)

    def _close_failed(self, now: int) -> None:
        self.pool.errors["idle_closed" if self.is_held else "idle_unserved"] += 1
        self.pool.close(self)
        self.pool.open_pending(now)
