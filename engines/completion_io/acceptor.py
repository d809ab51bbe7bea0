"""Accepts by one multishot operation, and pauses (without spinning) at a limit."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from engines.common.acceptor import OUT_OF_RESOURCES, RETRY_S
from engines.common.board.board import (
    ACCEPT_CALLS,
    ACCEPTED,
    ACCEPTING,
    FLAG_OUT_OF_DESCRIPTORS,
    FLAG_SATURATED,
    STATE,
)
from engines.common.board.row import BoardRow
from engines.common.board.writer import Board
from engines.common.stop_handshakes import stop_handshakes
from engines.completion_io.ring import MORE, Ring

if TYPE_CHECKING:
    from uring_api import Completion


class CompletionAcceptor:
    """Accepts for one ring, on its thread. Each connection goes to `on_accept`; `count` returns how many are
    open.

    The kernel may complete a few more accepts before it processes a cancel: these connections wait in
    `_accepted`.
    """

    def __init__(
        self,
        listener: socket.socket,
        ring: Ring,
        board: Board,
        row: BoardRow,
        limit: int,
        on_accept: Callable[[socket.socket], object],
        count: Callable[[], int],
    ) -> None:
        self._listener, self._ring, self._board, self._row = listener, ring, board, row
        self._most, self._on_accept, self._count = limit, on_accept, count
        self._accepted: deque[socket.socket] = deque()
        self._operation: Completion | None = None
        self._on_stopped: Callable[[], None] | None = None
        self._retry_at_s = 0.0
        self.paused = False
        self._submit()

    def _submit(self) -> None:
        self._operation = self._ring.accept(self._listener.fileno(), self._completed)

    def _completed(self, completion: Completion) -> None:
        self._row.mark[STATE] = ACCEPTING
        if completion.res >= 0:
            self._row.counters[ACCEPTED] += 1
            # Without family and type, Python would ask the kernel for them: three system calls.
            self._accepted.append(socket.socket(self._listener.family, socket.SOCK_STREAM, 0, completion.res))
            self._admit()
        elif -completion.res in OUT_OF_RESOURCES:
            self._retry_at_s = time.monotonic() + RETRY_S
            self._pause(FLAG_OUT_OF_DESCRIPTORS)
        if not completion.flags & MORE:
            self._operation = None
            if self._on_stopped:
                self._finish(self._on_stopped)
            elif not self.paused:
                self._submit()

    def _admit(self) -> None:
        while self._accepted and self._count() < self._most:
            self._on_accept(self._accepted.popleft())
        if self._accepted or self._count() >= self._most:
            self._pause(FLAG_SATURATED)

    def _pause(self, flag: int) -> None:
        if self._operation and not self.paused:
            self._ring.cancel(self._operation)
        self.paused = True
        self._board.set_flag(flag, True)

    def resume(self) -> None:
        """If paused, start accepting again if there is room."""
        if self._count() >= self._most or time.monotonic() < self._retry_at_s or self._operation:
            return
        self.paused = False
        self._admit()
        if not self.paused:
            self._board.set_flag(FLAG_SATURATED | FLAG_OUT_OF_DESCRIPTORS, False)
            self._submit()

    def stop(self, on_stopped: Callable[[], None]) -> None:
        """Accept what the kernel has already completed, close the listener, then call `on_stopped`."""
        self._on_stopped = on_stopped
        stop_handshakes(self._listener)
        if self._operation is None:
            self._finish(on_stopped)
        elif not self.paused:
            self._ring.cancel(self._operation)

    def _finish(self, on_stopped: Callable[[], None]) -> None:
        """Empty the accept queue by plain calls, without a limit. No accept is in flight any more."""
        while self._accepted:
            self._on_accept(self._accepted.popleft())
        while True:
            self._row.counters[ACCEPT_CALLS] += 1
            try:
                sock, _ = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:  # the accept queue is empty, or descriptors are exhausted
                break
            self._row.counters[ACCEPTED] += 1
            self._on_accept(sock)
        self.paused = False
        with suppress(OSError):  # the ring may hold the listener until its next wait: stop the kernel now
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        on_stopped()
