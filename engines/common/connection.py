"""One connection of a model whose sockets never block: requests received, bytes to be sent.

This is the only place on the readiness side where an OSError of a connection is caught; it sets `lost`.
"""

from __future__ import annotations

import socket
import threading

from engines.common.board.board import WOULD_BLOCKS
from engines.common.board.row import BoardRow
from engines.common.http.request_parser import RequestParser
from engines.common.http.requests import NO_REQUEST, Request

RECV_BYTES = 64 * 1024
READ_AHEAD_BYTES = 64 * 1024  # read beyond the request that is being handled
LINGER_S = 1.0
LINGER_BYTES = 64 * 1024


class Connection:
    """One connection. Used by one thread at a time.

    `pending`: requests without a response. `unsent`: the rest of a response. `needs_update`: the loop must do
    more than wait for the next request (send the rest, close, change the epoll interest). `phase_start_s`:
    when the present phase (idle, receiving, sending, lingering) began. `tag`: owner row and generation, as in
    the board's descriptor word.
    """

    __slots__ = (
        "closing",
        "discarded_bytes",
        "eof",
        "fd",
        "interest",
        "lingering",
        "lock",
        "lost",
        "must_linger",
        "needs_update",
        "parser",
        "pending",
        "phase_start_s",
        "queued_at_ns",
        "scheduled_s",
        "sock",
        "tag",
        "unsent",
    )

    def __init__(self, sock: socket.socket, parser: RequestParser, now_s: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.parser = parser
        self.pending: list[Request] = []
        self.unsent: bytes | memoryview = b""
        self.phase_start_s = now_s
        self.scheduled_s = self.discarded_bytes = self.interest = self.tag = 0
        self.eof = self.lost = self.closing = self.lingering = self.needs_update = False
        self.must_linger = False
        # Models with workers: held while a worker has the connection, so responses keep their order.
        self.lock: threading.Lock | None = None
        self.queued_at_ns = 0

    @property
    def busy(self) -> bool:
        """Whether a worker has the connection."""
        return self.lock is not None and self.lock.locked()

    def recv(self, row: BoardRow) -> None:
        """Read once, and append the requests that are complete to `pending`. Never blocks."""
        row.recv_calls += 1
        try:
            data = self.sock.recv(RECV_BYTES)
        except BlockingIOError:
            row.counters[WOULD_BLOCKS] += 1
            return
        except OSError:
            data = b""
            self.lost = True
        if not data:
            self.eof = self.needs_update = True
            return
        row.bytes_in += len(data)
        if self.lingering:
            self._discard(len(data))
            return
        inbox = self.parser
        requests = inbox.feed(data)
        if requests:
            if self.pending:
                self.pending += requests
            else:
                self.pending = requests

    def send(self, response: bytes | memoryview, row: BoardRow, request: Request = NO_REQUEST) -> None:
        """Send `response`, or as much as the kernel takes; the rest stays in `unsent`. Never blocks.

        `request` is the last request that was handled: it may end the connection.
        """
        if not request.keep_alive:
            self.close_after(request)
        if self.unsent:
            response = bytes(self.unsent) + response
        row.send_calls += 1
        try:
            sent = self.sock.send(response)
        except OSError as error:
            self._not_sent(response, error, row)
            return
        row.bytes_out += sent
        if sent != len(response):
            self.unsent = memoryview(response)[sent:]
            self.needs_update = True

    def close_after(self, request: Request) -> None:
        """Close the connection after the response to `request`; a rejection must be readable before."""
        self.closing = self.needs_update = True
        self.must_linger = request.rejection is not None
        self.pending.clear()

    def flush(self, row: BoardRow) -> None:
        """Send what is in `unsent`."""
        waiting, self.unsent = self.unsent, b""
        self.send(waiting, row)

    def _not_sent(self, response: bytes | memoryview, error: OSError, row: BoardRow) -> None:
        self.needs_update = True
        if isinstance(error, BlockingIOError):
            row.counters[WOULD_BLOCKS] += 1
            self.unsent = response
        else:
            self.lost = True
            self.unsent = b""

    def has_unread(self) -> bool:
        """Return whether the kernel has received bytes that the loop has not read yet."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def linger(self) -> None:
        """Close the sending side; what the client still sends is discarded.

        Closing the socket with unread input would send a reset, and the client could lose the response.
        """
        self.lingering = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.lost = True

    def _discard(self, size: int) -> None:
        self.discarded_bytes += size
        if self.discarded_bytes > LINGER_BYTES:
            self.lost = self.needs_update = True
