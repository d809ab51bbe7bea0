"""The acceptor's door: where a thread that does nothing else waits for newcomers, for room, and for its end."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

from engines.common.acceptor import PAUSE_S, Acceptor
from engines.common.board.board import WAIT_CALLS, Row
from engines.common.connections import TICK_S
from engines.common.contract import Setup
from engines.common.stop_handshakes import refuse_newcomers
from engines.threaded_io.connections import Crowd


class Door:
    """A listener with a poll of its own. `open` until told to stop and until the kernel's queue is empty."""

    def __init__(self, listener: socket.socket, setup: Setup, row: Row, crowd: Crowd) -> None:
        self.open = True
        self._crowd = crowd
        self._row = row
        self._handler = setup.handler
        self._stopping = setup.stopping
        most = min(setup.knobs.max_threads, setup.knobs.max_connections)
        self._acceptor = Acceptor(listener, setup.board, row, most)
        self._listening = True
        self._poll = select.poll()
        for fd in (listener.fileno(), setup.stopping, crowd.bell):
            self._poll.register(fd, select.POLLIN)

    def wait(self) -> None:
        """Block until somebody knocks, somebody left while it was full, or it is time to close."""
        self._row.tally[WAIT_CALLS] += 1
        ready = {fd for fd, _ in self._poll.poll(self._patience_ms())}
        self._row.look()
        self._handler.tick(time.monotonic())
        if self._crowd.bell in ready:
            self._crowd.hear()
        if self._stopping in ready:
            self.open = False

    def _patience_ms(self) -> float | None:
        if not self._listening:
            return PAUSE_S * 1000
        return (
            TICK_S * 1000 if len(self._crowd) else None
        )  # the threads' answers need a new `Date` each second

    def accept(self) -> Iterator[socket.socket]:
        """Newcomers, as many as there is room for; once it is time to close, everybody whom the kernel has let in."""
        if not self.open:
            refuse_newcomers(self._acceptor.listener)
            yield from self._the_rest()
            self._acceptor.listener.close()
            return
        for sock in self._acceptor.accept(len(self._crowd)):
            yield sock
            if self._crowd.no_thread:
                self._crowd.no_thread = False
                self._acceptor.exhausted()
                break
        self._listen(self._acceptor.resume(len(self._crowd)))

    def _the_rest(self) -> Iterator[socket.socket]:
        taken = True
        while taken:
            taken = False
            for sock in self._acceptor.accept(len(self._crowd)):
                taken = True
                yield sock

    def _listen(self, on: bool) -> None:
        """A listener that is paused stays readable: then the poll must not wait for it."""
        self._crowd.full = not on
        if on != self._listening:
            self._listening = on
            self._poll.modify(self._acceptor.listener.fileno(), select.POLLIN if on else 0)
