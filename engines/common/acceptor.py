"""Accepts connections from the accept queue, and pauses (without spinning) at a limit."""

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
RETRY_S = 0.1  # a paused acceptor tries again after it
OUT_OF_RESOURCES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Acceptor:
    """Accepts for one thread. While `paused`, the loop must not wait for the listener: it stays readable.

    `limit` is the largest number of open connections, `batch` the largest number accepted in one call.
    `pause_at_limit`: pause when the limit is reached, not when a further connection comes. If that one wakes
    only this thread (EPOLLEXCLUSIVE), it would wait although other threads have room.
    """

    def __init__(
        self, listener: socket.socket, board: Board, row: BoardRow, limit: int, batch: int = ACCEPT_BATCH
    ) -> None:
        self.listener = listener
        self.paused = False
        self.pause_at_limit = False
        self._batch = batch
        self._retry_at_s = 0.0
        self._board = board
        self._row = row
        self._limit = limit

    def accept(self, count: int) -> Iterator[socket.socket]:
        """Yield new connections, non-blocking, until the queue is empty, a batch is full, or the limit is
        reached.

        `count` is the number of open connections before the call.
        """
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
                continue  # the client closed it in the accept queue (ECONNABORTED)
            counters[ACCEPTED] += 1
            count += 1
            sock.setblocking(False)
            yield sock
            if self.pause_at_limit and count >= self._limit:
                return self._pause(FLAG_SATURATED)

    def lift_limit(self) -> None:
        """Accept without a limit from now on: a draining engine serves the whole accept queue."""
        self._limit = sys.maxsize

    def pause_briefly(self) -> None:
        """Pause for RETRY_S because something other than descriptors is exhausted, such as threads."""
        self._pause(FLAG_SATURATED)
        self._retry_at_s = time.monotonic() + RETRY_S

    def resume(self, count: int) -> bool:
        """End the pause if there is room for `count` + 1 connections. Returns whether accepting continues."""
        if self.paused and count < self._limit and time.monotonic() >= self._retry_at_s:
            self.paused = False
            self._board.set_flag(FLAG_SATURATED | FLAG_OUT_OF_DESCRIPTORS, False)
        return not self.paused

    def _pause(self, flag: int) -> None:
        self.paused = True
        # Descriptors can be exhausted below the limit; retrying at once would spin.
        self._retry_at_s = time.monotonic() + RETRY_S if flag == FLAG_OUT_OF_DESCRIPTORS else 0.0
        self._board.set_flag(flag, True)
