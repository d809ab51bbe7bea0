"""The completion side of a proactor: a ring, the peers whose operations are in flight in it, and their ends.

The counterpart of `Demultiplexer`. That one says which socket *could* be read; this one says what *has been* read,
into a buffer of the pool, or sent. All methods belong to the thread that waits.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from engines.common.acceptor import RETRY_S
from engines.common.board.board import C_IDLE, READING, STATE
from engines.common.board.row import BoardRow
from engines.common.connection import READ_AHEAD_BYTES
from engines.common.connection_table import TICK_S, ConnectionTable
from engines.common.contract import Setup
from engines.common.http.requests import CONTINUE, NO_REQUEST, Request
from engines.common.mailbox import Mailbox
from engines.completion_io.acceptor import CompletionAcceptor
from engines.completion_io.connection import CompletionConnection
from engines.completion_io.ring import SEND_FLAGS, Ring

if TYPE_CHECKING:
    from uring_api import Completion

REAP_S = 0.25  # after the grace: what cancelled operations get to come back


class CompletionQueue:
    """Submits for many sockets at once and waits for what is complete. `about` a peer, or a call to be made."""

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox) -> None:
        self.ring = Ring(setup.knobs.buffers, setup.knobs.buffer_size)
        self._send = self.ring.send
        self.connections = ConnectionTable(setup, row, CompletionConnection)
        self.by_fd = self.connections.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._acceptor: CompletionAcceptor | None = None
        self._recently_sent: set[CompletionConnection] = (
            set()
        )  # who had something sent to them since the last tick
        self._tick_s = 0.0
        self.watch(mailbox.fd, mailbox.run_all)

    @property
    def alive(self) -> bool:
        """Until the engine is asked to stop, and then until the last peer is gone."""
        drain_deadline_s = self.connections.drain_deadline_s
        return drain_deadline_s is None or (
            bool(self.by_fd) and self.connections.now_s < drain_deadline_s + REAP_S
        )

    def listen(
        self, listener: socket.socket, on_accept: Callable[[socket.socket], object], count: Callable[[], int]
    ) -> None:
        """Accept from `listener` here. Each connection goes to `adopt`; `held` tells how many there are already."""
        limit = self._setup.knobs.max_connections
        self._acceptor = CompletionAcceptor(
            listener, self.ring, self._setup.board, self._row, limit, on_accept, count
        )

    def watch(self, fd: int, call: Callable[[], None], once: bool = False) -> None:
        """Call `call` when `fd` is readable. For a bell or the end, not for data: there is nothing to receive, and
        an eventfd that does not block would be answered with EAGAIN if a read of it were submitted."""

        def on_readable(_: Completion) -> None:
            self._row.mark[STATE] = READING
            call()
            if not once:
                self.ring.poll(fd, on_readable)

        self.ring.poll(fd, on_readable)

    def open(self, sock: socket.socket) -> None:
        """Make a connection a peer of this ring: from here on there is always a receive in flight for it."""
        connection = self.connections.open(sock)
        connection.receiving = self.ring.recv(connection.fd, connection)

    def wait(self) -> list[Completion]:
        """Submit what was asked for, block until something is complete; answers the completions."""
        timeout_s: float | None = self.connections.timeout_s
        if self._acceptor and self._acceptor.paused:
            timeout_s = RETRY_S
        elif timeout_s == -1:
            timeout_s = None
        complete = self.ring.wait(timeout_s)
        self.connections.after_wait()
        return complete

    def run_callback(self, completion: Completion) -> None:
        """The completion is not about a peer: the listener, the end, or a mailbox."""
        cast(Any, completion.user_data)(completion)

    def send(self, connection: CompletionConnection, response: bytes, request: Request = NO_REQUEST) -> None:
        """Submit `answer` to `request`, which may be the last. One send of a peer is in flight at a time, so answers
        keep their order and are bounded."""
        if not request.keep_alive:
            connection.close_after(request)
        connection.unsent = response
        connection.phase_start_s = self.connections.now_s
        self._recently_sent.add(connection)
        connection.sending = self._send(connection.fd, response, SEND_FLAGS, connection)

    def update(self, connection: CompletionConnection) -> None:
        """After a completion: leave on the board what the peer is at, and submit what it needs next."""
        if connection.needs_update or connection.parser.partial:
            self._submit_next(connection)
        elif not (connection.unsent or connection.with_worker):
            connection.phase_start_s = self.connections.now_s
            self._words[connection.fd] = connection.tag | C_IDLE

    def _submit_next(self, connection: CompletionConnection) -> None:
        """More than the next request is ahead: the rest of one, the rest of an answer, or the end."""
        responding = bool(connection.unsent) or connection.with_worker  # it is our turn, not the peer's
        if connection.lost or (connection.eof and not responding):
            return self.close(connection)
        if connection.unsent and not connection.sending:
            connection.sending = self._send(connection.fd, connection.unsent, SEND_FLAGS, connection)
        elif connection.parser.wants_continue and not responding:
            connection.parser.wants_continue = False
            self.send(connection, CONTINUE)
        elif connection.closing and not (responding or connection.lingering):
            if not (connection.must_linger or self._setup.handler.draining):
                return self.close(connection)
            self.connections.linger(connection)
        self._update_receive(connection)
        ended = connection.closing or connection.eof or connection.lost
        connection.needs_update = ended or not connection.receiving or connection.parser.wants_continue
        if not connection.with_worker:
            self.connections.update(connection)

    def _update_receive(self, connection: CompletionConnection) -> None:
        """Receive again, unless the peer is too far ahead: while it does not take our answers we take no more of its
        requests. After ENOBUFS this cannot spin: whoever has the buffers brings data, and gives them back."""
        if not (connection.unsent or connection.with_worker):
            connection.read_ahead = 0
        if not connection.receiving:
            if connection.read_ahead <= READ_AHEAD_BYTES and not connection.eof:
                connection.receiving = self.ring.recv(connection.fd, connection)
        elif connection.read_ahead > READ_AHEAD_BYTES and not connection.pausing:
            connection.pausing = True
            self.ring.cancel(connection.receiving)

    def close(self, connection: CompletionConnection) -> None:
        """End a connection. Its descriptor is closed once nothing can complete for it any more: a receive in flight
        would keep the socket open, and could take what is sent to the next connection with that number."""
        connection.lost = connection.needs_update = True
        if not connection.with_worker:  # else a worker is about to take the first of them
            connection.pending.clear()
        flying = [operation for operation in (connection.receiving, connection.sending) if operation]
        if not flying and not connection.with_worker:
            self._recently_sent.discard(connection)
            self.connections.close(connection)
        elif not connection.cancelling:
            connection.cancelling = True
            self._words[connection.fd] &= (
                0xFF00  # said once: a drain must not find thousands of them idle in each round
            )
            for operation in flying:
                self.ring.cancel(operation)

    def sweep(self) -> None:
        """After a round: end what is out of time, accept again if there is room, publish the counters."""
        if self.connections.now_s >= self.connections.next_check_s:
            for connection in tuple(self.connections.expired()):
                self.close(connection)
        if self._recently_sent and self.connections.now_s >= self._tick_s:
            self._tick()
        if self._acceptor and self._acceptor.paused:
            self._acceptor.resume()
        self._row.publish()

    def _tick(self) -> None:
        """Once a second: mark and file who is still being sent to, so that a plain request need not (1 µs)."""
        self._tick_s = self.connections.now_s + TICK_S
        for connection in self._recently_sent:
            if connection.unsent:
                self.connections.update(connection)
        self._recently_sent.clear()

    def drain(self, on_stopped: Callable[[], object] | None = None) -> None:
        """Asked to stop: take what the kernel has already accepted, close the listener, call `then`, and finish what
        is in flight."""

        def when_accept_stopped() -> None:
            self._acceptor = None
            if on_stopped:
                on_stopped()
            self.connections.drain()

        if self._acceptor:
            self._acceptor.stop(when_accept_stopped)
        else:
            when_accept_stopped()

    def shutdown(self) -> None:
        self.ring.close()
