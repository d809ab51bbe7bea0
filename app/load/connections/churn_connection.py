"""Churn: a connection for each request. Its time runs from connect() to the last byte of the answer.

The generator closes first, as most clients that ask once do, so TIME_WAIT stays on its side of the loopback. An address
has 28,000 ports to one target; they are in TIME_WAIT for 60 s, so connections come from 127.0.0.x by turns.
"""

from __future__ import annotations

import errno
import select
import socket
from itertools import cycle

from app.load.connections.client_connection import ClientConnection
from app.load.connections.error_names import error_name
from app.load.connections.request_mix import RequestKind
from app.load.connections.response_reader import process_response

SOURCE_ADDRESSES = cycle(f"127.0.0.{last}" for last in range(2, 66))
IP_BIND_ADDRESS_NO_PORT = (
    24  # the port is chosen by connect(), which knows the target: one port serves many targets
)


class ChurnConnection(ClientConnection):
    """A place for one request at a time, each with a connection of its own."""

    __slots__ = ("connecting",)

    def open(self, now: int) -> None:
        """There is nothing to open before it is asked."""
        self.pool.release(self, now)

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        self.kind, self.intended_at, self.handled_at, self.started_at = (
            kind,
            intended_at,
            queued_at or now,
            now,
        )
        pool = self.pool
        pool.in_flight += 1
        sock = pool.new_socket()
        self.attach(sock, 0)
        self.started_at, self.connecting = now, True
        try:
            if pool.address[0].startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((next(SOURCE_ADDRESSES), 0))
            code = sock.connect_ex(pool.address)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, "connect")
            pool.add_connected(self, select.EPOLLIN)
            self._send_unsent(
                now
            )  # on the loopback it is connected by now; elsewhere it is asked again when it is
        except OSError as error:
            self._connect_failed(error, now)

    def on_event(self, now: int) -> None:
        try:
            if self.unsent is not None or self.connecting:
                self._send_unsent(now)
            if self.connecting or not process_response(self.pool, self, self.recv(self.kind.recv_bytes), now):
                return
        except BlockingIOError:
            return
        except OSError as error:
            if self.connecting:
                self._connect_failed(error, now)
            else:
                self.fail(error_name(error), now)
            return
        self.pool.release(self, now)

    def _send_unsent(self, now: int) -> None:
        """Send what is to be sent, as far as it goes. Raises OSError."""
        waiting = self.unsent if self.unsent is not None else memoryview(self.kind.request)
        try:
            rest = waiting[self.send(waiting) :]
            self.connecting = False
            self.pool.connect_failures = 0
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
            self.pool.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if rest else 0))

    def _connect_failed(self, error: OSError, now: int) -> None:
        """Not tried again at once: whoever refuses a thousand times a second would only be asked more often."""
        self.count_failure(f"connect_{error_name(error)}", now)
        self.pool.connect_failures += 1
        self._close()
        self.pool.to_open.append(self)

    def finish_response(self, closes: bool, now: int) -> bool:
        self._close()
        return True

    def fail(self, error: str, now: int) -> None:
        self.abandon(error, now)
        self.pool.release(self, now)

    def abandon(self, error: str, now: int) -> None:
        self.count_failure(f"connect_{error}" if self.connecting else error, now)
        self._close()

    def _close(self) -> None:
        self.pool.in_flight -= 1
        self.pool.close_connected(self)
        self.reset_response()
        self.started_at = 0
