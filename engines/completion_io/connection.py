"""The other end of a connection, for models whose I/O is submitted: what has completed, what is still in flight.

As in `Peer`, this is where an error of a connection becomes `lost`: here it comes as a negative result.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from engines.common.board.board import WOULD_BLOCKS, Row
from engines.common.connection import AHEAD_BYTES, Peer
from engines.completion_io.ring import MORE

if TYPE_CHECKING:
    from uring_api import Completion

# The operation has ended, the connection has not: submit it again.
ENDED_EARLY = frozenset((-errno.ENOBUFS, -errno.ECANCELED, -errno.EINTR, -errno.EAGAIN))


class CompletionPeer(Peer):
    """One connection. `outbox` is being sent, `receiving` and `sending` are in flight, `handed_on`: a worker has it."""

    __slots__ = ("ahead", "ending", "handed_on", "pausing", "receiving", "sending")

    def __init__(self, sock: socket.socket, now_s: float) -> None:
        super().__init__(sock, now_s)
        self.receiving: Completion | None = None
        self.sending: Completion | None = None
        self.ahead = 0
        self.handed_on = self.ending = self.pausing = False

    @property
    def busy(self) -> bool:
        return self.handed_on

    def received(self, completion: Completion, row: Row) -> None:
        """A receive completed: parse what it brought into `todo`, and give its buffer back to the pool at once."""
        if not completion.flags & MORE:
            self.receiving = None
            self.unsettled = True
            self.pausing = False
        size = completion.res
        if size > 0:
            view: Any = completion.result
            data = bytes(view)  # a copy of what came (90 ns); the view's end is the buffer's return
            row.bytes_in += size
            if self.outbox or self.handed_on:
                self.ahead += size
                self.unsettled = self.unsettled or self.ahead > AHEAD_BYTES
            if self.closing or self.lost:
                self._ignore(size)
                return
            inbox = self.inbox
            if self.todo:
                self.todo += inbox.feed(data)
            else:
                self.todo = inbox.feed(data)
            if inbox.wants_continue:
                self.unsettled = True
        elif size == 0:
            self.eof = True
        elif size in ENDED_EARLY:
            row.tally[WOULD_BLOCKS] += size == -errno.ENOBUFS
        else:
            self.lost = True

    def sent(self, completion: Completion, row: Row) -> None:
        """The send completed. What is left after a short write stays in `outbox`, to be submitted again."""
        self.sending = None
        size = completion.res
        if size == len(self.outbox):
            self.outbox = b""
            if not self.todo:
                self.ahead = 0
        elif size > 0:
            self.outbox = memoryview(self.outbox)[size:]
            self.unsettled = True
        else:
            self.lost = self.lost or size not in ENDED_EARLY
            self.unsettled = True
        if size > 0:
            row.bytes_out += size

    def _ignore(self, size: int) -> None:
        if self.lingering:
            self._discard(size)
