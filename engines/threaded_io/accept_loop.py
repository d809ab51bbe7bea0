"""The acceptor thread's loop: waits for connections, for free threads, and for the end of the engine."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

from engines.common.acceptor import RETRY_S, Acceptor
from engines.common.board.board import WAIT_CALLS
from engines.common.board.row import BoardRow
from engines.common.connection_table import TICK_S
from engines.common.contract import Setup
from engines.common.stop_handshakes import stop_handshakes
from engines.threaded_io.thread_registry import ThreadRegistry


class AcceptLoop:
    """A listener with its own poll. `running` until the engine must stop."""

    def __init__(self, listener: socket.socket, setup: Setup, row: BoardRow, threads: ThreadRegistry) -> None:
        self.running = True
        self._threads = threads
        self._row = row
        self._handler = setup.handler
        self._stopping = setup.stopping
        limit = min(setup.knobs.max_threads, setup.knobs.max_connections)
        self._acceptor = Acceptor(listener, setup.board, row, limit)
        self._listening = True
        self._poll = select.poll()
        for fd in (listener.fileno(), setup.stopping, threads.wakeup_fd):
            self._poll.register(fd, select.POLLIN)

    def wait(self) -> None:
        """Block until a connection arrives, a thread becomes free at the limit, or the engine must stop."""
        self._row.counters[WAIT_CALLS] += 1
        ready = {fd for fd, _ in self._poll.poll(self._timeout_ms())}
        self._row.check_trace()
        self._handler.update_date(time.monotonic())
        if self._threads.wakeup_fd in ready:
            self._threads.clear_wakeup()
        if self._stopping in ready:
            self.running = False

    def _timeout_ms(self) -> float | None:
        if not self._listening:
            return RETRY_S * 1000
        return TICK_S * 1000 if len(self._threads) else None  # responses need a new `Date` each second

    def accept(self) -> Iterator[socket.socket]:
        """Yield new connections up to the limit; when the engine stops, all that the kernel has completed."""
        if not self.running:
            stop_handshakes(self._acceptor.listener)
            yield from self._accept_remaining()
            self._acceptor.listener.close()
            return
        for sock in self._acceptor.accept(len(self._threads)):
            yield sock
            if self._threads.thread_limit_reached:
                self._threads.thread_limit_reached = False
                self._acceptor.pause_briefly()
                break
        self._set_listening(self._acceptor.resume(len(self._threads)))

    def _accept_remaining(self) -> Iterator[socket.socket]:
        taken = True
        while taken:
            taken = False
            for sock in self._acceptor.accept(len(self._threads)):
                taken = True
                yield sock

    def _set_listening(self, on: bool) -> None:
        """Poll the listener or not: while paused it stays readable, and the poll would return at once."""
        self._threads.waits_for_room = not on
        if on != self._listening:
            self._listening = on
            self._poll.modify(self._acceptor.listener.fileno(), select.POLLIN if on else 0)
