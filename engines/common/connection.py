"""The other end of a connection, for models whose sockets never block: what came in, what must still go out.

This is the one place where an OSError of a connection is caught on the readiness side: it becomes `lost`.
"""

from __future__ import annotations

import socket
import threading

from engines.common.board.board import WOULD_BLOCKS, Row
from engines.common.http.inbox import NO_REQUEST, Inbox, Request

CHUNK = 64 * 1024
AHEAD_BYTES = 64 * 1024  # what a peer may send beyond the request that is being answered
LINGER_S = 1.0
LINGER_BYTES = 64 * 1024


class Peer:
    """One connection. `todo` are requests not yet answered; `unsettled` says that more is ahead than the next one."""

    __slots__ = (
        "answer_must_be_read",
        "closing",
        "discarded",
        "eof",
        "fd",
        "filed",
        "inbox",
        "interest",
        "lingering",
        "lost",
        "outbox",
        "queued_ns",
        "since_s",
        "sock",
        "tag",
        "todo",
        "turn",
        "unsettled",
    )

    def __init__(self, sock: socket.socket, now_s: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.inbox = Inbox()
        self.todo: list[Request] = []
        self.outbox: bytes | memoryview = b""
        self.since_s = now_s
        self.filed = self.discarded = self.interest = self.tag = 0
        self.eof = self.lost = self.closing = self.lingering = self.unsettled = False
        self.answer_must_be_read = False
        # Models with workers: who holds the turn answers this peer, so that pipelined answers keep their order.
        self.turn: threading.Lock | None = None
        self.queued_ns = 0

    @property
    def busy(self) -> bool:
        """A worker has the turn."""
        return self.turn is not None and self.turn.locked()

    def recv(self, row: Row) -> None:
        """Read once what the kernel has, into `todo`. Never blocks."""
        row.recv_calls += 1
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            row.tally[WOULD_BLOCKS] += 1
            return
        except OSError:
            data = b""
            self.lost = True
        if not data:
            self.eof = self.unsettled = True
            return
        row.bytes_in += len(data)
        if self.lingering:
            self._discard(len(data))
            return
        inbox = self.inbox
        requests = inbox.feed(data)
        if requests:
            if self.todo:
                self.todo += requests
            else:
                self.todo = requests

    def send(self, answer: bytes | memoryview, row: Row, request: Request = NO_REQUEST) -> None:
        """Write `answer`, or as much as the kernel takes; the rest stays in `outbox`. Never blocks.

        `request` is the one that was answered: it may be the last."""
        if not request.keep_alive:
            self.last(request)
        if self.outbox:
            answer = bytes(self.outbox) + answer
        row.send_calls += 1
        try:
            sent = self.sock.send(answer)
        except OSError as error:
            self._not_sent(answer, error, row)
            return
        row.bytes_out += sent
        if sent != len(answer):
            self.outbox = memoryview(answer)[sent:]
            self.unsettled = True

    def last(self, request: Request) -> None:
        """`request` was answered and ends the connection."""
        self.closing = self.unsettled = True
        self.answer_must_be_read = request.refusal is not None
        self.todo.clear()

    def flush(self, row: Row) -> None:
        """Write what is in `outbox`."""
        waiting, self.outbox = self.outbox, b""
        self.send(waiting, row)

    def _not_sent(self, answer: bytes | memoryview, error: OSError, row: Row) -> None:
        self.unsettled = True
        if isinstance(error, BlockingIOError):
            row.tally[WOULD_BLOCKS] += 1
            self.outbox = answer
        else:
            self.lost = True
            self.outbox = b""

    def has_unread(self) -> bool:
        """Whether a request may lie in the kernel: a loop with many peers has not come to all that are ready."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def linger(self) -> None:
        """We have said all and close; what the peer still sends is discarded, or a reset would eat the answer."""
        self.lingering = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.lost = True

    def _discard(self, size: int) -> None:
        self.discarded += size
        if self.discarded > LINGER_BYTES:
            self.lost = self.unsettled = True
