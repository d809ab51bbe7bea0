"""Taking connections from the accept queue, and pausing (never spinning) when no more can be held."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Iterator

from engines.common.board.board import (
    ACCEPT_CALLS,
    ACCEPTED,
    FLAG_OUT_OF_DESCRIPTORS,
    FLAG_SATURATED,
    WOULD_BLOCKS,
)
from engines.common.board.row import BoardRow
from engines.common.board.writer import Board

ACCEPT_BATCH = 64
RETRY_S = 0.1  # how often a paused acceptor looks for room
OUT_OF_RESOURCES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Acceptor:
    """Accepts for one thread. While `paused`, the loop must not wait for the listener: it stays readable."""

    def __init__(
        self, listener: socket.socket, board: Board, row: BoardRow, limit: int, batch: int = ACCEPT_BATCH
    ) -> None:
        self.listener = listener
        self.paused = False
        self._batch = batch
        self._retry_at_s = 0.0
        self._board = board
        self._row = row
        self._limit = limit

    def accept(self, count: int) -> Iterator[socket.socket]:
        """New connections, non-blocking, until the queue is empty, a batch is full, or no more can be held."""
        counters = self._row.counters
        for _ in range(self._batch):
            if count >= self._limit:
                return self._pause(FLAG_SATURATED)
            counters[ACCEPT_CALLS] += 1
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                counters[WOULD_BLOCKS] += 1
                return
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    return self._pause(FLAG_OUT_OF_DESCRIPTORS)
                continue  # the peer gave up while it was queued (ECONNABORTED)
            counters[ACCEPTED] += 1
            count += 1
            sock.setblocking(False)
            yield sock

    def lift_limit(self) -> None:
        """The engine drains: whom the kernel has let in is served, whatever the limit."""
        self._limit = sys.maxsize

    def pause_briefly(self) -> None:
        """Something else than descriptors is short: pause, and look again later."""
        self._pause(FLAG_SATURATED)
        self._retry_at_s = time.monotonic() + RETRY_S

    def resume(self, count: int) -> bool:
        """Look again whether there is room; answers whether accepting goes on."""
        if self.paused and count < self._limit and time.monotonic() >= self._retry_at_s:
            self.paused = False
            self._board.set_flag(FLAG_SATURATED | FLAG_OUT_OF_DESCRIPTORS, False)
        return not self.paused

    def _pause(self, flag: int) -> None:
        self.paused = True
        # Descriptors may be short although there is room by the knobs: to try again at once would be to spin.
        self._retry_at_s = time.monotonic() + RETRY_S if flag == FLAG_OUT_OF_DESCRIPTORS else 0.0
        self._board.set_flag(flag, True)
