"""The idle crowd: connections that prove once that they are served, and are then only held."""

from __future__ import annotations

from app.load.connections.connection import Peer
from app.load.connections.pool import Crew
from app.load.connections.request_mix import Kind
from app.load.connections.response_head import BadAnswer
from app.load.connections.response_reader import take


class IdlePeer(Peer):
    """One of the crowd. It is not opened again: that the server let go of it is a finding."""

    __slots__ = ("held",)

    def __init__(self, crew: Crew, kind: Kind) -> None:
        super().__init__(crew, kind)
        self.held = False

    def queue_up(self) -> None:
        self.crew.outside.append(self)

    def open(self, now: int) -> None:
        self.crew.unproved += 1
        super().open(now)

    def opened(self, now: int) -> None:
        """It counts as opening until it has been served once: so the accept queue is never overrun."""
        try:
            self.send(self.kind.request)
        except OSError:
            self._lost(now)

    def left(self) -> None:
        self.crew.opening -= not self.held
        self.crew.unproved -= not self.held
        self.crew.held -= self.held
        self.held = False

    def ready(self, now: int) -> None:
        if self.opening:
            self.crew.finish_opening(self, now)
        else:
            self._hear(now)

    def _hear(self, now: int) -> None:
        """The one answer that it gets, or its end."""
        try:
            data = self.recv(self.kind.room)
            whole = bool(data) and take(self, data)
        except BlockingIOError:
            return
        except (OSError, BadAnswer):
            data, whole = b"", False
        if self.held or not data:
            self._lost(now)
        elif whole and self.head:
            self.crew.aside += 1
            served = self.head.status == 200 and not self.head.closes
            (self._hold if served else self._lost)(now)

    def _hold(self, now: int) -> None:
        self.held = True
        self.crew.held += 1
        self.crew.opening -= 1
        self.crew.unproved -= 1
        self.crew.note_peak()
        self.crew.open_some(now)

    def _lost(self, now: int) -> None:
        self.crew.errors["idle_closed" if self.held else "idle_unserved"] += 1
        self.crew.close(self)
        self.crew.open_some(now)
