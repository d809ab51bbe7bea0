"""Churn: a new connection for each request.

Service time runs from connect() to the last byte of the response.

The generator closes first, as most clients that send one request do, so TIME_WAIT is on its side. An address
has 28,000 ephemeral ports for one target, and each is in TIME_WAIT for 60 s. So on the loopback the
connections come from 64 source addresses in turn.
"""

from __future__ import annotations

import errno
import select
import socket
from itertools import cycle

from app.load.connections.client_connection import ClientConnection
from app.load.connections.error_names import error_name
from app.load.connections.request_kind import RequestKind

SOURCE_ADDRESSES = cycle(f"127.0.0.{last}" for last in range(2, 66))
# connect() chooses the port instead of bind(), so that a port can be used for several targets (ip(7), since
# Linux 4.2).
IP_BIND_ADDRESS_NO_PORT = 24


class ChurnConnection(ClientConnection):
    """One request at a time, each on a new connection.

    `connecting`: connect() has not succeeded yet.
    """

    __slots__ = ("connecting",)

    def open(self, now: int) -> None:
        """Do nothing but offer itself: a connection is opened for each request."""
        self.pool.release(self, now)

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        """Connect and send a request."""
        self.kind, self.intended_at, self.handled_at = kind, intended_at, queued_at or now
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
            pool.add_connected(self)
            self._send_rest()  # on the loopback it is connected already; elsewhere EPOLLOUT will tell
        except OSError as error:
            self._connect_failed(error, now)

    def on_event(self, now: int) -> None:
        """Send what is unsent, and read the response."""
        try:
            if self.unsent is not None or self.connecting:
                self._send_rest()
            if self.connecting or not self.process_response(self.recv(self.kind.recv_bytes), now):
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

    def _send_rest(self) -> None:
        """Send as much of the request as the kernel takes. Raises OSError."""
        waiting = self.unsent if self.unsent is not None else memoryview(self.kind.request)
        try:
            rest = waiting[self.send(waiting) :]
            self.connecting = False
            self.pool.connect_failures = 0
        except BlockingIOError:
            rest = waiting
        except BrokenPipeError:  # connect() has failed: SO_ERROR has the reason
            assert self.sock is not None
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.EPIPE
            raise OSError(code, "connect") from None
        before, self.unsent = self.unsent, rest if rest else None
        if bool(rest) != (before is not None):
            # Wait for EPOLLOUT only while bytes are unsent: a socket is nearly always writable, and the loop
            # would spin.
            self.pool.epoll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if rest else 0))

    def _connect_failed(self, error: OSError, now: int) -> None:
        """Count the request as failed. The queue limits how soon a refusing target is tried again.

        It waits in the queue, so that a refusing target is not tried in a busy loop.
        """
        self.count_failure(f"connect_{error_name(error)}", now)
        self.pool.connect_failures += 1
        self._close()
        self.pool.to_open.append(self)

    def finish_response(self, closes: bool, now: int) -> bool:
        """Close the connection. Returns True: the next request gets a new one."""
        self._close()
        return True

    def fail(self, error: str, now: int) -> None:
        """Count the request in flight as failed. The next request gets a new connection."""
        self.abandon(error, now)
        self.pool.release(self, now)

    def abandon(self, error: str, now: int) -> None:
        """Count the request in flight as failed, and close the connection."""
        self.count_failure(f"connect_{error}" if self.connecting else error, now)
        self._close()

    def _close(self) -> None:
        self.pool.in_flight -= 1
        self.pool.close_connected(self)
        self.reset_response()
        self.started_at = 0
