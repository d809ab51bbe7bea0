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
    Board,
    Row,
)

BATCH = 64
PAUSE_S = 0.1  # how often a paused acceptor looks for room
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Acceptor:
    """Accepts for one thread. While `paused`, the loop must not wait for the listener: it stays readable."""

    def __init__(
        self, listener: socket.socket, board: Board, row: Row, most: int, batch: int = BATCH
    ) -> None:
        self.listener = listener
        self.paused = False
        self._batch = batch
        self._not_before_s = 0.0
        self._board = board
        self._row = row
        self._most = most

    def accept(self, held: int) -> Iterator[socket.socket]:
        """New connections, non-blocking, until the queue is empty, a batch is full, or no more can be held."""
        tally = self._row.tally
        for _ in range(self._batch):
            if held >= self._most:
                return self._pause(FLAG_SATURATED)
            tally[ACCEPT_CALLS] += 1
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                tally[WOULD_BLOCKS] += 1
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    return self._pause(FLAG_OUT_OF_DESCRIPTORS)
                continue  # the peer gave up while it was queued (ECONNABORTED)
            tally[ACCEPTED] += 1
            held += 1
            sock.setblocking(False)
            yield sock

    def unbounded(self) -> None:
        """The engine drains: whom the kernel has let in is served, whatever the limit."""
        self._most = sys.maxsize

    def exhausted(self) -> None:
        """Something else than descriptors is short: pause, and look again later."""
        self._pause(FLAG_SATURATED)
        self._not_before_s = time.monotonic() + PAUSE_S

    def resume(self, held: int) -> bool:
        """Look again whether there is room; answers whether accepting goes on."""
        if self.paused and held < self._most and time.monotonic() >= self._not_before_s:
            self.paused = False
            self._board.flag(FLAG_SATURATED | FLAG_OUT_OF_DESCRIPTORS, False)
        return not self.paused

    def _pause(self, why: int) -> None:
        self.paused = True
        # Descriptors may be short although there is room by the knobs: to try again at once would be to spin.
        self._not_before_s = time.monotonic() + PAUSE_S if why == FLAG_OUT_OF_DESCRIPTORS else 0.0
        self._board.flag(why, True)
