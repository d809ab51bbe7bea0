"""The idle crowd: connections that prove once that they are served, and are then only held."""

from __future__ import annotations

from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_mix import RequestKind
from app.load.connections.response_head import InvalidResponse
from app.load.connections.response_reader import append_response


class IdleConnection(ClientConnection):
    """One of the crowd. It is not opened again: that the server let go of it is a finding."""

    __slots__ = ("is_held",)

    def __init__(self, pool: ConnectionPool, kind: RequestKind) -> None:
        super().__init__(pool, kind)
        self.is_held = False

    def schedule_open(self) -> None:
        self.pool.idle_to_open.append(self)

    def open(self, now: int) -> None:
        self.pool.idle_opening += 1
        super().open(now)

    def on_connected(self, now: int) -> None:
        """It counts as opening until it has been served once: so the accept queue is never overrun."""
        try:
            self.send(self.kind.request)
        except OSError:
            self._close_failed(now)

    def on_close(self) -> None:
        self.pool.opening -= not self.is_held
        self.pool.idle_opening -= not self.is_held
        self.pool.idle_held -= self.is_held
        self.is_held = False

    def on_event(self, now: int) -> None:
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            self._read_response(now)

    def _read_response(self, now: int) -> None:
        """The one answer that it gets, or its end."""
        try:
            data = self.recv(self.kind.recv_bytes)
            complete = bool(data) and append_response(self, data)
        except BlockingIOError:
            return
        except (OSError, InvalidResponse):
            data, complete = b"", False
        if self.is_held or not data:
            self._close_failed(now)
        elif complete and self.head:
            self.pool.background_responses += 1
            served = self.head.status == 200 and not self.head.closes
            (self._mark_held if served else self._close_failed)(now)

    def _mark_held(self, now: int) -> None:
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
