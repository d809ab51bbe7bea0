"""A slow client's connection: it reads or writes a little every 250 ms, whatever arrives.

A server that waits for a slow client can do nothing else on that thread. Slow clients stand in the
background: the plan bounds their number, and their latency is not in the results.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress

from app.load.connections.client_connection import ClientConnection
from app.load.connections.client_profile import FULL_SPEED_BYTES, ClientProfile
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.request_kind import RequestKind
from app.load.connections.response_head import InvalidResponse

STEP_NS = 250_000_000
REOPEN_AFTER_NS = (
    1_000_000_000  # after the server has closed: a server that closes at once is tried once a second
)


class SlowConnection(ClientConnection):
    """A background connection that acts in steps. `sent_at` stays 0, so the hot loops leave it alone.

    - `flushing`: the load is over, and the rest is read at full speed.
    - `awaited`: responses that are not complete.
    """

    __slots__ = ("awaited", "flushing", "profile")

    def __init__(self, pool: ConnectionPool, kind: RequestKind, profile: ClientProfile, due_at: int) -> None:
        super().__init__(pool, kind)
        self.profile = profile
        self.due_at = due_at
        self.flushing = False
        self.awaited = 0

    def open(self, now: int) -> None:
        """Begin to connect."""
        self.pool.connect(self, now, self.profile.receive_buffer_bytes)

    def on_connected(self, now: int) -> None:
        """Start its first batch of requests."""
        self.pool.opening -= 1
        self.pool.slow_connected += 1
        if self.flushing:
            self.pool.close(self)
            return
        # No events: it acts in steps. EPOLLERR and EPOLLHUP are reported all the same.
        self.pool.epoll.modify(self.fd, 0)
        self._start_batch()

    def on_close(self) -> None:
        """Called by the pool before the socket is closed: updates its counters."""
        if self.is_connecting:
            self.pool.opening -= 1
        else:
            self.pool.slow_connected -= 1

    def step(self, now: int) -> None:
        """Send a little and read a little. Keeps its rhythm when it is called late."""
        self.due_at += STEP_NS * max(1, -(-(now - self.due_at) // STEP_NS))
        if self.sock is None:
            if self not in self.pool.to_open and not self.flushing:
                self.open(now)
        elif not (self.is_connecting or self.flushing):
            self._transfer(self.profile.write_bytes, self.profile.read_bytes, now)

    def on_event(self, now: int) -> None:
        """Handle the end of connect(), a broken connection, or what comes while it is flushed."""
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            self._transfer(FULL_SPEED_BYTES, FULL_SPEED_BYTES, now)

    def flush(self, now: int) -> None:
        """Read the rest at full speed, so that every response is counted, then close."""
        self.flushing = True
        if self.sock is None or self.is_connecting:
            return
        self.pool.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0))
        self._transfer(FULL_SPEED_BYTES, FULL_SPEED_BYTES, now)

    def _transfer(self, write_bytes: int, read_bytes: int, now: int) -> None:
        try:
            if self.unsent:
                self._unless_blocked(lambda: self._send(write_bytes))
            self._unless_blocked(lambda: self._receive(self.recv(read_bytes)))
        except (OSError, InvalidResponse):
            self.pool.slow_closed += 1
            self.pool.close(self)
            self.due_at = now + REOPEN_AFTER_NS
            return
        if not self.awaited and self.flushing:
            self.pool.close(self)
        elif not self.awaited:
            self._start_batch()

    @staticmethod
    def _unless_blocked(action: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            action()

    def _start_batch(self) -> None:
        self.awaited = self.profile.responses
        self.unsent = memoryview(self.profile.request)

    def _send(self, limit: int) -> None:
        assert self.unsent is not None
        self.unsent = self.unsent[self.send(self.unsent[:limit]) :]
        if self.flushing and not self.unsent:
            self.pool.epoll.modify(self.fd, select.EPOLLIN)

    def _receive(self, data: bytes) -> None:
        """Count complete responses.

        Raises InvalidResponse, and ConnectionResetError if the server has closed.
        """
        if not data:
            raise ConnectionResetError
        while data:
            if not self.awaited:
                raise InvalidResponse("more responses than requests")
            if not self.reader.feed(data):
                return
            data = self.reader.rest
            self.reader.reset()
            self._count_response()

    def _count_response(self) -> None:
        self.awaited -= 1
        self.pool.background_responses += 1
