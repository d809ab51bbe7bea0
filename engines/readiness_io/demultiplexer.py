"""The synchronous event demultiplexer of an event loop: epoll, and the connections that it watches.

It is the same whether one loop does all work or hands requests to workers; what happens with a request is
decided by the model module. All methods are for the loop's thread only.
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

EVENTS_MAX = 64  # of one wait: with 256 the first requests of a burst wait for the reading of all others
READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class Demultiplexer:
    """Waits for many sockets at once. `by_fd` has the connections by descriptor.

    `_callbacks` has what to call for other descriptors: the listener, mailboxes, `stopping`.
    """

    def __init__(self, setup: Setup, row: BoardRow) -> None:
        self.connections = ConnectionTable(setup, row, Connection)
        self.by_fd = self.connections.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._poll = select.epoll()
        self._callbacks: dict[int, tuple[Callable[[], object], int]] = {}
        self._acceptor: Acceptor | None = None
        self._accept_events = 0
        self._waits_for_listener = False
        self._on_accept: Callable[[socket.socket], object] = self.open
        self._count: Callable[[], int] = self.by_fd.__len__

    @property
    def alive(self) -> bool:
        """Whether the loop must go on: until the engine must stop, and then until the last connection is
        closed.
        """
        return bool(self.by_fd) or self.connections.drain_deadline_s is None

    def listen(
        self,
        listener: socket.socket,
        on_accept: Callable[[socket.socket], object] | None = None,
        count: Callable[[], int] | None = None,
        batch: int = ACCEPT_BATCH,
        exclusive: bool = False,
    ) -> None:
        """Accept from `listener` in this loop, up to `batch` connections in one wake-up.

        Each connection goes to `on_accept` (default: this loop serves it). `count` returns how many are open
        already. `exclusive`: of the epolls that wait for the listener, a connection wakes only one.
        """
        self._count = count or self.by_fd.__len__
        limit = self._setup.knobs.max_connections
        self._acceptor = Acceptor(listener, self._setup.board, self._row, limit, batch)
        self._acceptor.pause_at_limit = exclusive
        self._on_accept = on_accept or self.open
        self._accept_events = READABLE | (select.EPOLLEXCLUSIVE if exclusive else 0)
        self._callbacks[listener.fileno()] = self._accept, ACCEPTING
        self._wait_for_listener(True)

    def watch(self, fd: int, call: Callable[[], object], state: int = READING) -> None:
        """Call `call` whenever `fd` is readable, with the thread in `state`."""
        self._callbacks[fd] = call, state
        self._poll.register(fd, READABLE)

    def open(self, sock: socket.socket) -> Connection:
        """Serve the connection `sock` in this loop."""
        connection = self.connections.open(sock)
        connection.interest = READABLE
        self._row.counters[OTHER_CALLS] += 1
        self._poll.register(connection.fd, READABLE)
        return connection

    def wait(self) -> list[tuple[int, int]]:
        """Block until a descriptor is ready or a deadline is due; return (descriptor, events) pairs."""
        paused = self._acceptor is not None and self._acceptor.paused
        ready = self._poll.poll(RETRY_S if paused else self.connections.timeout_s, EVENTS_MAX)
        self.connections.after_wait()
        return ready

    def run_callback(self, fd: int) -> None:
        """Call what was registered for `fd`; nothing if a connection has just been closed there."""
        if found := self._callbacks.get(fd):
            call, state = found
            self._row.mark[STATE] = state
            call()

    def resume(self, connection: Connection, events: int) -> None:
        """Handle events beyond plain readability: send the rest of a response, or read the end of the
        connection.

        A connection whose client does not read its responses is not read either, which limits the memory for
        it.
        """
        if connection.unsent:
            connection.flush(self._row)
        if not connection.unsent:
            connection.recv(self._row)

    def update(self, connection: Connection) -> None:
        """After an event: write the state to the board, and wait for what the connection needs next."""
        if connection.needs_update or connection.parser.partial:
            self._update_interest(connection)
        else:
            connection.phase_start_s = self.connections.now_s
            self._words[connection.fd] = connection.tag | C_IDLE

    def _update_interest(self, connection: Connection) -> None:
        """Continue a partial request or response, or close the connection."""
        if connection.lost or (connection.eof and not connection.unsent and not connection.busy):
            return self.connections.close(connection)
        if connection.parser.wants_continue and not (
            connection.pending or connection.unsent or connection.busy
        ):  # after the responses to earlier requests
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
        """Change the events that epoll reports. Writability only while bytes are unsent, or the loop would
        spin.

        Without interest the descriptor is unregistered: epoll would still report a hang-up, and the loop
        would spin.
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
        """After a round of events: close what has timed out, resume accepting, publish the counters."""
        if self.connections.now_s >= self.connections.next_check_s:
            for connection in tuple(self.connections.expired()):
                self.connections.close(connection)
        if (acceptor := self._acceptor) and acceptor.paused and acceptor.resume(self._count()):
            self._wait_for_listener(True)
        self._row.publish()

    def drain(self) -> None:
        """Accept what the kernel has already completed, close the listener, finish requests in flight."""
        if self._callbacks.pop(self._setup.stopping, None):
            self._poll.unregister(self._setup.stopping)  # it stays readable, and the loop would spin
        if self._acceptor:
            self._acceptor.paused = False
            self._acceptor.lift_limit()  # these connections are established
            stop_handshakes(self._acceptor.listener)
            while self._accept():
                pass
            self._callbacks.pop(self._acceptor.listener.fileno(), None)
            self._wait_for_listener(False)  # closing is not enough if a process shares it
            self._acceptor.listener.close()
            self._acceptor = None
        self.connections.drain()

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._poll.close()

    def _accept(self) -> int:
        assert self._acceptor is not None
        self._row.mark[STATE] = ACCEPTING
        taken = 0
        for sock in self._acceptor.accept(self._count()):
            self._on_accept(sock)
            taken += 1
        if self._acceptor.paused:  # it stays readable
            self._wait_for_listener(False)
        return taken

    def _wait_for_listener(self, wanted: bool) -> None:
        """Register or unregister the listener. EPOLLEXCLUSIVE does not allow to modify its events."""
        assert self._acceptor is not None
        if wanted and not self._waits_for_listener:
            self._poll.register(self._acceptor.listener, self._accept_events)
        elif self._waits_for_listener and not wanted:
            self._poll.unregister(self._acceptor.listener)
        self._waits_for_listener = wanted
