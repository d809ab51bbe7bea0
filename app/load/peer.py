"""The connections of a shard: active ones, and the idle crowd beside them."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from app.load.answer import Head
from app.load.mix import Kind
from app.load.reading import heard_idle, heard_unasked

if TYPE_CHECKING:
    from app.load.crew import Crew

OPENING_EVENTS = select.EPOLLOUT


class Peer:
    """An active connection: one request at a time. `sent_at` is 0 while nothing is in flight."""

    __slots__ = ("buffer", "crew", "due", "fd", "got", "head", "intended", "kind", "opened_at", "recv", "send",
                 "sent_at", "sock", "unsent")  # fmt: skip

    def __init__(self, crew: Crew, kind: Kind) -> None:
        self.crew = crew
        self.kind = kind
        self.sock: socket.socket | None = None
        self.fd = -1
        self.opened_at = self.sent_at = self.intended = self.due = 0
        self.forget_answer()

    def forget_answer(self) -> None:
        """Be ready to read an answer from its first byte."""
        self.got = 0
        self.buffer = b""
        self.head: Head | None = None
        self.unsent: memoryview | None = None

    def attach(self, sock: socket.socket, now: int) -> None:
        self.sock, self.fd = sock, sock.fileno()
        self.recv, self.send = sock.recv, sock.send
        self.opened_at, self.sent_at = now, 0
        self.forget_answer()

    @property
    def opening(self) -> bool:
        return self.opened_at != 0

    def ready(self, now: int) -> None:
        """Something happened while nothing was in flight."""
        if self.opening:
            self.crew.finish_opening(self, now)
        else:
            heard_unasked(self.crew, self, now)


class IdlePeer(Peer):
    """One of the idle crowd: proves once that it is served, and is then only held."""

    __slots__ = ("held",)

    def __init__(self, crew: Crew, kind: Kind) -> None:
        super().__init__(crew, kind)
        self.held = False

    def ready(self, now: int) -> None:
        if self.opening:
            self.crew.finish_opening(self, now)
        else:
            heard_idle(self.crew, self, now)
