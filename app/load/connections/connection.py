"""The connections of a shard. An active one has one request in flight at a time; others have manners of their own.

The hot loops read `sent_at`: it is 0 while nothing is in flight that they may take, and then they call `ready`.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from app.load.connections.failures import name_of
from app.load.connections.request_mix import Kind
from app.load.connections.response_head import Head
from app.load.connections.response_reader import heard_unasked

if TYPE_CHECKING:
    from app.load.connections.pool import Crew

OPENING_EVENTS = select.EPOLLOUT


class Peer:
    """Keep-alive: one request at a time, on one connection, again and again."""

    __slots__ = (
        "buffer",
        "crew",
        "due",
        "fd",
        "got",
        "handled",
        "head",
        "intended",
        "kind",
        "opened_at",
        "recv",
        "send",
        "sent_at",
        "since",
        "sock",
        "unsent",
    )

    def __init__(self, crew: Crew, kind: Kind) -> None:
        self.crew = crew
        self.kind = kind
        self.sock: socket.socket | None = None
        self.fd = -1
        self.opened_at = self.intended = self.handled = self.due = 0
        self.sent_at = 0  # in flight since, for the hot loops
        self.since = 0  # in flight since, where this peer takes its own events
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

    @property
    def asked_at(self) -> int:
        """When what is in flight was sent; 0: nothing is."""
        return self.sent_at or self.since

    @property
    def owed(self) -> int:
        """Answers in flight."""
        return 1 if self.asked_at else 0

    def queue_up(self) -> None:
        """Be opened, or opened again, when its turn comes."""
        self.crew.vacant.append(self)

    def open(self, now: int) -> None:
        self.crew.connect(self, now)

    def opened(self, now: int) -> None:
        """The connection is there."""
        self.crew.opening -= 1
        self.crew.connected += 1
        self.crew.admit(self, now)

    def left(self) -> None:
        """The connection is about to be closed: it counts no more."""
        if self.opening:
            self.crew.opening -= 1
            return
        self.crew.connected -= 1
        if not self.asked_at:
            self.crew.dismiss(self)

    def ask(self, kind: Kind, intended: int, now: int, queued: int = 0) -> None:
        """Send a request; nothing is in flight (the closed hot loop has its own copy of these lines).

        `queued`: when it was put into the backlog; 0 if it was not.
        """
        self.kind, self.intended, self.handled, self.sent_at = kind, intended, queued or now, now
        try:
            sent = self.send(kind.request)
            if sent != kind.request_bytes:
                self.cut_short(kind.request, sent)
        except BlockingIOError:
            self.cut_short(kind.request, 0)
        except OSError as error:
            self.crew.broke(self, error, now)

    def ready(self, now: int) -> None:
        """Something happened while nothing was in flight."""
        if self.opening:
            self.crew.finish_opening(self, now)
        else:
            heard_unasked(self.crew, self, now)

    def over(self, closes: bool, now: int) -> bool:
        """An answer is whole; True when the next request can be sent here."""
        self.forget_answer()
        if closes:
            self.crew.reconnects += 1
            self.crew.reopen(self, now)
        return not closes

    def lose(self, error: str, now: int) -> None:
        """What is in flight is lost, and with it the connection."""
        self.count_loss(error, now)
        self.crew.reopen(self, now)

    def give_up(self, error: str, now: int) -> None:
        """The same at the end of the load: it is not opened again."""
        self.count_loss(error, now)
        self.crew.close(self)

    def count_loss(self, error: str, now: int) -> None:
        self.crew.count_error(self.kind, error, now - self.asked_at, self.got)

    # Requests that do not fit into one send

    def cut_short(self, data: bytes, sent: int) -> None:
        """The kernel took only a part of what was to be sent: send the rest as it makes room."""
        self.unsent = memoryview(data)[sent:]
        self.crew.epoll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def push(self, now: int) -> None:
        """There may be room for more of it."""
        assert self.unsent is not None
        try:
            self.unsent = self.unsent[self.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(name_of(error), now)
            return
        if not self.unsent:
            # Ask for writability only while bytes are waiting, or the loop never sleeps.
            self.unsent = None
            self.crew.epoll.modify(self.fd, select.EPOLLIN)
