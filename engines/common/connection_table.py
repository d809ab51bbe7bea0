"""The connections of one thread: opened, marked on the board, timed out, closed. That thread only."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Generic

from engines.common.board.board import (
    C_IDLE,
    C_READING,
    C_WRITING,
    CLOSED,
    CONNECTIONS,
    OTHER_CALLS,
    TIMEOUTS,
    WAIT_CALLS,
    WAKEUPS,
)
from engines.common.board.row import BoardRow
from engines.common.contract import Setup
from engines.common.deadlines import C, Deadlines
from engines.common.http.request_parser import RequestParser

TICK_S = 1.0
DRAIN_IDLE_S = 0.1  # a draining engine waits so long for a last request of an idle client


class ConnectionTable(Generic[C]):
    """All connections of one thread, by descriptor, with their deadlines.

    `now_s` is the monotonic time of the last wake-up, `next_check_s` the time of the next check of the
    deadlines, and `drain_deadline_s` the end of the grace period while the engine drains, else None. `kind`
    creates a connection.
    """

    def __init__(
        self, setup: Setup, row: BoardRow, kind: Callable[[socket.socket, RequestParser, float], C]
    ) -> None:
        self.by_fd: dict[int, C] = {}
        self.now_s = time.monotonic()
        self.next_check_s = 0.0
        self.drain_deadline_s: float | None = None
        self._idle_grace_end_s = 0.0
        self._kind = kind
        self._setup = setup
        self._row = row
        self._handler = setup.handler
        self._words = setup.board.words
        self._deadlines: Deadlines[C] = Deadlines(setup.knobs, self.now_s)

    def __len__(self) -> int:
        return len(self.by_fd)

    def open(self, sock: socket.socket) -> C:
        """Create a connection for `sock`, and count it on the board."""
        connection = self._kind(sock, self._setup.new_parser(), self.now_s)
        generation = (self._words[connection.fd] + 0x100) & 0xFF00
        connection.tag = self._row.tag | generation
        self.by_fd[connection.fd] = connection
        self._words[connection.fd] = connection.tag | C_IDLE
        self._row.cells[CONNECTIONS] = len(self.by_fd)
        self._deadlines.schedule(connection)
        return connection

    def close(self, connection: C) -> None:
        """Close `connection`. Its word is cleared before another connection can get the descriptor."""
        if self.by_fd.pop(connection.fd, None) is None:
            return
        self._deadlines.remove(connection)
        connection.parser.close()
        connection.lost = True
        self._words[connection.fd] &= 0xFF00
        self._row.cells[CONNECTIONS] = len(self.by_fd)
        self._row.counters[CLOSED] += 1
        self._row.counters[OTHER_CALLS] += 1
        connection.sock.close()

    def set_state(self, connection: C, state: int) -> None:
        """Write a connection state (C_IDLE …) to the board."""
        self._words[connection.fd] = connection.tag | state

    def update(self, connection: C) -> None:
        """Write the connection's state to the board, and start the deadline of a new phase."""
        if connection.unsent or connection.lingering:  # input does not prolong lingering
            state = C_WRITING
        elif connection.parser.partial:
            state = C_READING
        else:
            connection.phase_start_s = self.now_s
            self._words[connection.fd] = connection.tag | C_IDLE
            return
        if (self._words[connection.fd] & 0xFF) != state:  # a new phase, with its own deadline
            connection.phase_start_s = self.now_s
            self.set_state(connection, state)
        self._deadlines.schedule(connection)

    def linger(self, connection: C) -> None:
        """Close the sending side, and give the client LINGER_S seconds to read the response."""
        connection.phase_start_s = self.now_s
        self._row.counters[OTHER_CALLS] += 1
        connection.linger()
        self._deadlines.schedule(connection)

    @property
    def timeout_s(self) -> float:
        """How long the loop may wait before a deadline must be checked, in seconds; -1: without limit."""
        if self.drain_deadline_s is not None:
            return DRAIN_IDLE_S / 4
        return TICK_S if self.by_fd else -1

    def after_wait(self) -> None:
        """Count a wake-up and read the clock, once for all ready descriptors. Call after each wait."""
        row = self._row
        row.counters[WAIT_CALLS] += 1
        row.counters[WAKEUPS] += 1
        if row.trace_wanted[0] != row.tracing:
            row.switch_trace()
        self.now_s = now_s = time.monotonic()
        self._handler.update_date(now_s)

    def expired(self) -> Iterator[C]:
        """Yield connections to be closed now: timed out, or idle while the engine drains."""
        self.next_check_s = int(self.now_s) + 1.0 if self.drain_deadline_s is None else 0.0
        for connection in self._deadlines.expired(self.now_s):
            self._row.counters[TIMEOUTS] += not connection.lingering
            yield connection
        if self.drain_deadline_s is not None and self.now_s > self._idle_grace_end_s:
            grace_over = self.now_s > self.drain_deadline_s
            yield from [
                connection
                for connection in self.by_fd.values()
                if grace_over or (self.is_idle(connection) and not connection.has_unread())
            ]

    def is_idle(self, connection: C) -> bool:
        """Return whether no request has begun and no response is being sent.

        The board alone does not tell: a worker marks a connection idle before the loop has seen what is left.
        """
        if connection.lingering:
            return True
        is_busy = connection.busy or connection.pending or connection.unsent or connection.parser.partial
        return not is_busy and (self._words[connection.fd] & 0xFF) == C_IDLE

    def drain(self) -> None:
        """Begin to drain: idle connections may send one last request, others have the grace period."""
        self.now_s = time.monotonic()
        self.next_check_s = 0.0
        self._idle_grace_end_s = self.now_s + DRAIN_IDLE_S
        self.drain_deadline_s = self.now_s + float(self._setup.knobs.grace_s)
