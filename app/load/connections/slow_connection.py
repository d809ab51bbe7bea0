"""Slow ones beside the load: readers that ask for much and take it by the spoonful, writers that send in crumbs.

A quarter of a second lies between two steps, whatever comes, and a server that waits for a slow one can do nothing
else on that thread. They are bounded by the plan, and nothing of them is in the latency of the load.
The buffers of a connection take the first of an answer before the server notices: a reader asks for 4 MiB at once.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.load.connections.client_connection import ClientConnection
from app.load.connections.request_mix import RequestKind, build_request
from app.load.connections.response_head import InvalidResponse, parse_head
from app.load.protocol.plan import Work

if TYPE_CHECKING:
    from app.load.connections.connection_pool import ConnectionPool

STEP_NS = 250_000_000
REOPEN_AFTER_NS = 1_000_000_000  # after it was cut off: a server that lets nobody be slow is not stormed
FULL_SPEED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What a slow one does in a step. `answers` come of what it sends; no receive buffer: the kernel's choice."""

    request: bytes
    responses: int
    write_bytes: int
    read_bytes: int
    receive_buffer_bytes: int


def slow_reader(host: str) -> ClientProfile:
    """100 KB/s: an answer takes 1.3 s, so that a server with a write deadline of 10 s does not cut it off."""
    large = build_request(Work("bytes", params={"n": 128 * 1024}), host)
    return ClientProfile(
        large * 32, 32, FULL_SPEED_BYTES, 32 * 1024, receive_buffer_bytes=16 * 1024
    )  # which the kernel doubles


def slow_writer(host: str) -> ClientProfile:
    """32 bytes a second: a whole request in 2 s, within any deadline for a header."""
    return ClientProfile(
        build_request(Work("plaintext"), host), 1, 8, FULL_SPEED_BYTES, receive_buffer_bytes=0
    )


class SlowConnection(ClientConnection):
    """One that does a little at a time. `sent_at` stays 0: the hot loops know nothing of it."""

    __slots__ = ("awaited", "body_remaining", "flushing", "profile")

    def __init__(self, pool: ConnectionPool, kind: RequestKind, profile: ClientProfile, due_at: int) -> None:
        super().__init__(pool, kind)
        self.profile = profile
        self.due_at = due_at  # of its next step
        self.flushing = False
        self.awaited = 0  # answers that are not whole
        self.body_remaining = 0  # bytes to come of the body of the one that is being read

    def open(self, now: int) -> None:
        self.pool.connect(self, now, self.profile.receive_buffer_bytes)

    def on_connected(self, now: int) -> None:
        self.pool.opening -= 1
        self.pool.slow_connected += 1
        self.body_remaining = 0
        if self.flushing:
            self.pool.close(self)
            return
        # Looked at in steps and not when something comes; a connection that breaks is reported all the same.
        self.pool.epoll.modify(self.fd, 0)
        self._start_batch()

    def on_close(self) -> None:
        if self.is_connecting:
            self.pool.opening -= 1
        else:
            self.pool.slow_connected -= 1

    def step(self, now: int) -> None:
        """Its turn: send a little, take a little."""
        self.due_at += STEP_NS * max(
            1, -(-(now - self.due_at) // STEP_NS)
        )  # its own beat, also after a late look
        if self.sock is None:
            if self not in self.pool.to_open and not self.flushing:
                self.open(now)
        elif not (self.is_connecting or self.flushing):
            self._transfer(self.profile.write_bytes, self.profile.read_bytes, now)

    def on_event(self, now: int) -> None:
        if self.is_connecting:
            self.pool.finish_connect(self, now)
        else:
            self._transfer(FULL_SPEED_BYTES, FULL_SPEED_BYTES, now)

    def flush(self, now: int) -> None:
        """Be slow no more: take what is to come and go, so that every answer has been counted."""
        self.flushing = True
        if self.sock is None or self.is_connecting:
            return
        self.pool.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0))
        self._transfer(FULL_SPEED_BYTES, FULL_SPEED_BYTES, now)

    def _transfer(self, write_bytes: int, read_bytes: int, now: int) -> None:
        try:
            if self.unsent:
                self._attempt(lambda: self._send(write_bytes))
            self._attempt(lambda: self._receive(self.recv(read_bytes)))
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
    def _attempt(do: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            do()

    def _start_batch(self) -> None:
        self.awaited = self.profile.responses
        self.unsent = memoryview(self.profile.request)

    def _send(self, most: int) -> None:
        assert self.unsent is not None
        self.unsent = self.unsent[self.send(self.unsent[:most]) :]
        if self.flushing and not self.unsent:
            self.pool.epoll.modify(self.fd, select.EPOLLIN)

    def _receive(self, data: bytes) -> None:
        """Count answers that are whole. Raises BadAnswer, and ConnectionResetError at the end of the connection."""
        if not data:
            raise ConnectionResetError
        while data:
            if not self.awaited:
                raise InvalidResponse("more answers than requests")
            taken = min(len(data), self.body_remaining)
            data, self.body_remaining = data[taken:], self.body_remaining - taken
            if self.body_remaining:
                return
            if taken:
                self._count_response()
            self.buffer += data
            head = parse_head(self.buffer)
            if head is None:
                return
            data, self.buffer = self.buffer[head.head_bytes :], b""
            self.body_remaining = head.body_bytes
            if not self.body_remaining:
                self._count_response()

    def _count_response(self) -> None:
        self.awaited -= 1
        self.pool.background_responses += 1
