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

from app.load.connections.connection import Peer
from app.load.connections.request_mix import Kind, request_bytes
from app.load.connections.response_head import BadAnswer, parse_head
from app.load.protocol.plan import Work

if TYPE_CHECKING:
    from app.load.connections.pool import Crew

STEP_NS = 250_000_000
AGAIN_NS = 1_000_000_000  # after it was cut off: a server that lets nobody be slow is not stormed
MUCH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Manner:
    """What a slow one does in a step. `answers` come of what it sends; no receive buffer: the kernel's choice."""

    request: bytes
    answers: int
    writes: int
    reads: int
    receive_buffer: int


def reader(host: str) -> Manner:
    """100 KB/s: an answer takes 1.3 s, so that a server with a write deadline of 10 s does not cut it off."""
    large = request_bytes(Work("bytes", params={"n": 128 * 1024}), host)
    return Manner(large * 32, 32, MUCH, 32 * 1024, receive_buffer=16 * 1024)  # which the kernel doubles


def writer(host: str) -> Manner:
    """32 bytes a second: a whole request in 2 s, within any deadline for a header."""
    return Manner(request_bytes(Work("plaintext"), host), 1, 8, MUCH, receive_buffer=0)


class SlowPeer(Peer):
    """One that does a little at a time. `sent_at` stays 0: the hot loops know nothing of it."""

    __slots__ = ("awaited", "hasty", "manner", "remaining")

    def __init__(self, crew: Crew, kind: Kind, manner: Manner, due: int) -> None:
        super().__init__(crew, kind)
        self.manner = manner
        self.due = due  # of its next step
        self.hasty = False
        self.awaited = 0  # answers that are not whole
        self.remaining = 0  # bytes to come of the body of the one that is being read

    def open(self, now: int) -> None:
        self.crew.connect(self, now, self.manner.receive_buffer)

    def opened(self, now: int) -> None:
        self.crew.opening -= 1
        self.crew.beside += 1
        self.remaining = 0
        if self.hasty:
            self.crew.close(self)
            return
        # Looked at in steps and not when something comes; a connection that breaks is reported all the same.
        self.crew.epoll.modify(self.fd, 0)
        self._ask()

    def left(self) -> None:
        if self.opening:
            self.crew.opening -= 1
        else:
            self.crew.beside -= 1

    def step(self, now: int) -> None:
        """Its turn: send a little, take a little."""
        self.due += STEP_NS * max(1, -(-(now - self.due) // STEP_NS))  # its own beat, also after a late look
        if self.sock is None:
            if self not in self.crew.vacant and not self.hasty:
                self.open(now)
        elif not (self.opening or self.hasty):
            self._go(self.manner.writes, self.manner.reads, now)

    def ready(self, now: int) -> None:
        if self.opening:
            self.crew.finish_opening(self, now)
        else:
            self._go(MUCH, MUCH, now)

    def hasten(self, now: int) -> None:
        """Be slow no more: take what is to come and go, so that every answer has been counted."""
        self.hasty = True
        if self.sock is None or self.opening:
            return
        self.crew.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0))
        self._go(MUCH, MUCH, now)

    def _go(self, writes: int, reads: int, now: int) -> None:
        try:
            if self.unsent:
                self._attempt(lambda: self._put(writes))
            self._attempt(lambda: self._take(self.recv(reads)))
        except (OSError, BadAnswer):
            self.crew.cut_off += 1
            self.crew.close(self)
            self.due = now + AGAIN_NS
            return
        if not self.awaited and self.hasty:
            self.crew.close(self)
        elif not self.awaited:
            self._ask()

    @staticmethod
    def _attempt(do: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            do()

    def _ask(self) -> None:
        self.awaited = self.manner.answers
        self.unsent = memoryview(self.manner.request)

    def _put(self, most: int) -> None:
        assert self.unsent is not None
        self.unsent = self.unsent[self.send(self.unsent[:most]) :]
        if self.hasty and not self.unsent:
            self.crew.epoll.modify(self.fd, select.EPOLLIN)

    def _take(self, data: bytes) -> None:
        """Count answers that are whole. Raises BadAnswer, and ConnectionResetError at the end of the connection."""
        if not data:
            raise ConnectionResetError
        while data:
            if not self.awaited:
                raise BadAnswer("more answers than requests")
            eaten = min(len(data), self.remaining)
            data, self.remaining = data[eaten:], self.remaining - eaten
            if self.remaining:
                return
            if eaten:
                self._whole()
            self.buffer += data
            head = parse_head(self.buffer)
            if head is None:
                return
            data, self.buffer = self.buffer[head.head_bytes :], b""
            self.remaining = head.body_bytes
            if not self.remaining:
                self._whole()

    def _whole(self) -> None:
        self.awaited -= 1
        self.crew.aside += 1
