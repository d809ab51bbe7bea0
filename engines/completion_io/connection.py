"""One connection of a model that submits I/O: what has completed, what is in flight.

As in `Connection`, an I/O error becomes `lost`; here it is a negative result.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from engines.common.board.board import WOULD_BLOCKS
from engines.common.board.row import BoardRow
from engines.common.connection import READ_AHEAD_BYTES, Connection
from engines.common.http.request_parser import RequestParser
from engines.completion_io.ring import MORE

if TYPE_CHECKING:
    from uring_api import Completion

# The operation has ended, but not the connection: submit it again.
RETRY_RESULTS = frozenset((-errno.ENOBUFS, -errno.ECANCELED, -errno.EINTR, -errno.EAGAIN))


class CompletionConnection(Connection):
    """One connection. `unsent` is being sent; `receiving` and `sending` are the operations in flight.

    `queued`: it waits for a worker, or a worker has it. `read_ahead`: bytes received since then.
    """

    __slots__ = ("cancelling", "pausing", "queued", "read_ahead", "receiving", "sending")

    def __init__(self, sock: socket.socket, parser: RequestParser, now_s: float) -> None:
        super().__init__(sock, parser, now_s)
        self.receiving: Completion | None = None
        self.sending: Completion | None = None
        self.read_ahead = 0
        self.queued = self.cancelling = self.pausing = False

    @property
    def busy(self) -> bool:
        """Whether a worker has the connection."""
        return self.queued

    def received(self, completion: Completion, row: BoardRow) -> None:
        """Handle a receive: parse into `pending`, and return its buffer to the ring at once."""
        if not completion.flags & MORE:
            self.receiving = None
            self.needs_update = True
            self.pausing = False
        size = completion.res
        if size > 0:
            view: Any = completion.result
            data = bytes(view)  # a copy (90 ns); deleting the view returns the buffer
            row.bytes_in += size
            if self.unsent or self.queued:
                self.read_ahead += size
                self.needs_update = self.needs_update or self.read_ahead > READ_AHEAD_BYTES
            if self.closing or self.lost:
                self._ignore(size)
                return
            inbox = self.parser
            if self.pending:
                self.pending += inbox.feed(data)
            else:
                self.pending = inbox.feed(data)
            if inbox.wants_continue:
                self.needs_update = True
        elif size == 0:
            self.eof = True
        elif size in RETRY_RESULTS:
            row.counters[WOULD_BLOCKS] += size == -errno.ENOBUFS
        else:
            self.lost = True

    def sent(self, completion: Completion, row: BoardRow) -> None:
        """Handle a send. The rest after a short write stays in `unsent`, to be submitted again."""
        self.sending = None
        size = completion.res
        if size == len(self.unsent):
            self.unsent = b""
            if not self.pending:
                self.read_ahead = 0
        elif size > 0:
            self.unsent = memoryview(self.unsent)[size:]
            self.needs_update = True
        else:
            self.lost = self.lost or size not in RETRY_RESULTS
            self.needs_update = True
        if size > 0:
            row.bytes_out += size

    def _ignore(self, size: int) -> None:
        if self.lingering:
            self._discard(size)
