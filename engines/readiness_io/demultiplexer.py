"""The synchronous event demultiplexer of a readiness loop: epoll, the peers behind it, and their ends.

Everything here is the same whether one loop does all the work or hands it on; what is done with a request is
the lesson's. All methods belong to the thread that waits.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from engines.common.acceptor import ACCEPT_BATCH, RETRY_S, Acceptor
from engines.common.board.board import ACCEPTING, C_IDLE, OTHER_CALLS, READING, STATE
from engines.common.board.row import BoardRow
from engines.common.connection import Connection
from engines.common.connection_table import ConnectionTable
from engines.common.contract import Setup
from engines.common.http.requests import CONTINUE
from engines.common.stop_handshakes import stop_handshakes

EVENTS_MAX = 256
READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class Demultiplexer:
    """Waits for many sockets at once. `calls` are what to do for descriptors that are not peers."""

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        self.connections = ConnectionTable(setup, row, Connection)
        self.by_fd = self.connections.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._poll = select.epoll()
        self._callbacks: dict[int, tuple[Callable[[], object], int]] = {}
        self._acceptor: Acceptor | None = None
        self._on_accept: Callable[[socket.socket], object] = self.open
        self._count: Callable[[], int] = self.by_fd.__len__

    @property
    def alive(self) -> bool:
        """Until the engine is asked to stop, and then until the last peer is gone."""
        return bool(self.by_fd) or self.connections.drain_deadline_s is None

    def listen(
        self,
        listener: socket.socket,
        on_accept: Callable[[socket.socket], object] | None = None,
        count: Callable[[], int] | None = None,
        batch: int = ACCEPT_BATCH,
    ) -> None:
        """Accept from `listener` here. Each connection goes to `adopt` (default: becomes a peer of this loop);
        `held` tells how many there are already. `batch`: how many at once, of a burst."""
        self._count = count or self.by_fd.__len__
        limit = self._setup.knobs.max_connections
        self._acceptor = Acceptor(listener, self._setup.board, self._row, limit, batch)
        self._on_accept = on_accept or self.open
        self.watch(listener.fileno(), self._accept, ACCEPTING)

    def watch(self, fd: int, call: Callable[[], object], state: int = READING) -> None:
        """Call `call` whenever `fd` is readable; the thread is then in `state`."""
        self._callbacks[fd] = call, state
        self._poll.register(fd, READABLE)

    def open(self, sock: socket.socket) -> Connection:
        """Make a connection a peer of this loop."""
        connection = self.connections.open(sock)
        connection.interest = READABLE
        self._row.counters[OTHER_CALLS] += 1
        self._poll.register(connection.fd, READABLE)
        return connection

    def wait(self) -> list[tuple[int, int]]:
        """Block until something is ready; answers (descriptor, events)."""
        paused = self._acceptor is not None and self._acceptor.paused
        ready = self._poll.poll(RETRY_S if paused else self.connections.timeout_s, EVENTS_MAX)
        self.connections.after_wait()
        return ready

    def run_callback(self, fd: int) -> None:
        """The descriptor is not a peer: the listener, the end, or a mailbox (or a peer that closed meanwhile)."""
        if found := self._callbacks.get(fd):
            call, state = found
            self._row.mark[STATE] = state
            call()

    def resume(self, connection: Connection, events: int) -> None:
        """Not only readable: there is room for the rest of an answer, or the connection is ending.

        While a peer does not take our answers we take no more of its requests, so what we hold for it is bounded.
        """
        if connection.unsent:
            connection.flush(self._row)
        if not connection.unsent:
            connection.recv(self._row)

    def update(self, connection: Connection) -> None:
        """After an event: leave on the board what the peer is at, and wait for what it needs next."""
        if connection.needs_update or connection.parser.partial:
            self._update_interest(connection)
        else:
            connection.phase_start_s = self.connections.now_s
            self._words[connection.fd] = connection.tag | C_IDLE

    def _update_interest(self, connection: Connection) -> None:
        """More than the next request is ahead: the rest of one, the rest of an answer, or the end."""
        if connection.lost or (connection.eof and not connection.unsent and not connection.busy):
            return self.connections.close(connection)
        if connection.parser.wants_continue and not (
            connection.pending or connection.unsent or connection.busy
        ):  # answers to come go first
            connection.parser.wants_continue = False
            connection.send(CONTINUE, self._row)
        if connection.unsent:
            self.set_interest(connection, WRITABLE)
        elif connection.closing and not connection.lingering and not connection.busy:
            if not (connection.must_linger or self._setup.handler.draining):
                return self.connections.close(connection)
            self.connections.linger(connection)
            self.set_interest(connection, READABLE)
        else:
            connection.needs_update = connection.closing
            self.set_interest(connection, READABLE)
        self.connections.update(connection)

    def set_interest(self, connection: Connection, interest: int) -> None:
        """Ask for other events than before. Ask for writability only while bytes wait, or the loop never sleeps.

        No interest means off the list: epoll reports a hang-up to whoever is on it, and the loop would spin.
        """
        if connection.interest == interest:
            return
        self._row.counters[OTHER_CALLS] += 1
        if not interest:
            self._poll.unregister(connection.fd)
        elif not connection.interest:
            self._poll.register(connection.fd, interest)
        else:
            self._poll.modify(connection.fd, interest)
        connection.interest = interest

    def sweep(self) -> None:
        """After a round of events: end what is out of time, accept again if there is room, publish the counters."""
        if self.connections.now_s >= self.connections.next_check_s:
            for connection in tuple(self.connections.expired()):
                self.connections.close(connection)
        if (acceptor := self._acceptor) and acceptor.paused and acceptor.resume(self._count()):
            self._poll.modify(acceptor.listener.fileno(), READABLE)
        self._row.publish()

    def drain(self) -> None:
        """Asked to stop: take what the kernel has already accepted, close the listener, finish what is in flight."""
        if self._callbacks.pop(self._setup.stopping, None):
            self._poll.unregister(self._setup.stopping)  # it stays readable: the loop would spin
        if self._acceptor:
            self._acceptor.paused = False
            self._acceptor.lift_limit()  # the limit does not count any more: they are in
            stop_handshakes(self._acceptor.listener)
            while self._accept():
                pass
            self._callbacks.pop(self._acceptor.listener.fileno(), None)
            self._poll.unregister(
                self._acceptor.listener
            )  # closing ends that only if no other process has it open
            self._acceptor.listener.close()
            self._acceptor = None
        self.connections.drain()

    def close(self) -> None:
        self._poll.close()

    def _accept(self) -> int:
        assert self._acceptor is not None
        self._row.mark[STATE] = ACCEPTING
        taken = 0
        for sock in self._acceptor.accept(self._count()):
            self._on_accept(sock)
            taken += 1
        if self._acceptor.paused:  # a paused listener stays readable: do not wait for it
            self._poll.modify(self._acceptor.listener.fileno(), 0)
        return taken
