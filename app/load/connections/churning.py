"""Churn: a connection for each request. Its time runs from connect() to the last byte of the answer.

The generator closes first, as most clients that ask once do, so TIME_WAIT stays on its side of the loopback. An address
has 28,000 ports to one target; they are in TIME_WAIT for 60 s, so connections come from 127.0.0.x by turns.
"""

from __future__ import annotations

import errno
import select
import socket
from itertools import cycle

from app.load.connections.connection import Peer
from app.load.connections.failures import name_of
from app.load.connections.request_mix import Kind
from app.load.connections.response_reader import digest

SOURCES = cycle(f"127.0.0.{last}" for last in range(2, 66))
IP_BIND_ADDRESS_NO_PORT = (
    24  # the port is chosen by connect(), which knows the target: one port serves many targets
)


class ChurnPeer(Peer):
    """A place for one request at a time, each with a connection of its own."""

    __slots__ = ("connecting",)

    def open(self, now: int) -> None:
        """There is nothing to open before it is asked."""
        self.crew.admit(self, now)

    def ask(self, kind: Kind, intended: int, now: int, queued: int = 0) -> None:
        self.kind, self.intended, self.handled, self.since = kind, intended, queued or now, now
        crew = self.crew
        crew.owed += 1
        sock = crew.new_socket()
        self.attach(sock, 0)
        self.since, self.connecting = now, True
        try:
            if crew.address[0].startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((next(SOURCES), 0))
            code = sock.connect_ex(crew.address)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, "connect")
            crew.take_in(self, select.EPOLLIN)
            self._put(now)  # on the loopback it is connected by now; elsewhere it is asked again when it is
        except OSError as error:
            self._could_not_connect(error, now)

    def ready(self, now: int) -> None:
        try:
            if self.unsent is not None or self.connecting:
                self._put(now)
            if self.connecting or not digest(self.crew, self, self.recv(self.kind.room), now):
                return
        except BlockingIOError:
            return
        except OSError as error:
            if self.connecting:
                self._could_not_connect(error, now)
            else:
                self.lose(name_of(error), now)
            return
        self.crew.admit(self, now)

    def _put(self, now: int) -> None:
        """Send what is to be sent, as far as it goes. Raises OSError."""
        waiting = self.unsent if self.unsent is not None else memoryview(self.kind.request)
        try:
            rest = waiting[self.send(waiting) :]
            self.connecting = False
            self.crew.failures = 0
        except BlockingIOError:
            rest = waiting
        except BrokenPipeError:  # connect() failed: SO_ERROR says why, send() only that
            assert self.sock is not None
            raise OSError(
                self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.EPIPE, "connect"
            ) from None
        before, self.unsent = self.unsent, rest if rest else None
        if bool(rest) != (before is not None):
            # Ask for writability only while bytes are waiting, or the loop never sleeps.
            self.crew.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if rest else 0))

    def _could_not_connect(self, error: OSError, now: int) -> None:
        """Not tried again at once: whoever refuses a thousand times a second would only be asked more often."""
        self.count_loss(f"connect_{name_of(error)}", now)
        self.crew.failures += 1
        self._hang_up()
        self.crew.vacant.append(self)

    def over(self, closes: bool, now: int) -> bool:
        self._hang_up()
        return True

    def lose(self, error: str, now: int) -> None:
        self.give_up(error, now)
        self.crew.admit(self, now)

    def give_up(self, error: str, now: int) -> None:
        self.count_loss(f"connect_{error}" if self.connecting else error, now)
        self._hang_up()

    def _hang_up(self) -> None:
        self.crew.owed -= 1
        self.crew.let_go(self)
        self.forget_answer()
        self.since = 0
