"""The completion side of a proactor: a ring, and the connections whose operations are in flight.

The counterpart of `Demultiplexer`, which reports that a socket *can be* read. A completion reports what *has
been* read, into a buffer of the ring, or sent. All methods are for the ring's thread only.
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

REAP_S = 0.25  # after the grace period: time for cancelled operations to complete


class CompletionQueue:
    """Submits operations of many sockets and waits for completions. `by_fd` has the connections."""

    def __init__(self, setup: Setup, row: BoardRow, mailbox: Mailbox) -> None:
        self.ring = Ring(setup.knobs.buffers, setup.knobs.buffer_size)
        self._send = self.ring.send
        self.connections = ConnectionTable(setup, row, CompletionConnection)
        self.by_fd = self.connections.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._acceptor: CompletionAcceptor | None = None
        self._recently_sent: set[CompletionConnection] = set()  # since the last tick
        self._tick_s = 0.0
        self.watch(mailbox.fd, mailbox.run_all)

    @property
    def alive(self) -> bool:
        """Whether the loop must go on: until the engine must stop, and then until the last connection is
        closed.
        """
        drain_deadline_s = self.connections.drain_deadline_s
        return drain_deadline_s is None or (
            bool(self.by_fd) and self.connections.now_s < drain_deadline_s + REAP_S
        )

    def listen(
        self, listener: socket.socket, on_accept: Callable[[socket.socket], object], count: Callable[[], int]
    ) -> None:
        """Accept in this ring. Each connection goes to `on_accept`; `count` returns how many are open."""
        limit = self._setup.knobs.max_connections
        self._acceptor = CompletionAcceptor(
            listener, self.ring, self._setup.board, self._row, limit, on_accept, count
        )

    def watch(self, fd: int, call: Callable[[], None], once: bool = False) -> None:
        """Call `call` when `fd` is readable, once or each time.

        For wake-ups, not for data: a read of a non-blocking eventfd would complete with EAGAIN.
        """

        def on_readable(_: Completion) -> None:
            self._row.mark[STATE] = READING
            call()
            if not once:
                self.ring.poll(fd, on_readable)

        self.ring.poll(fd, on_readable)

    def open(self, sock: socket.socket) -> None:
        """Serve the connection `sock` in this ring: from now on a receive is in flight for it."""
        connection = self.connections.open(sock)
        connection.receiving = self.ring.recv(connection.fd, connection)

    def wait(self) -> list[Completion]:
        """Submit what was prepared, and block until operations complete or a deadline is due; return
        completions.
        """
        timeout_s: float | None = self.connections.timeout_s
        if self._acceptor and self._acceptor.paused:
            timeout_s = RETRY_S
        elif timeout_s == -1:
            timeout_s = None
        complete = self.ring.wait(timeout_s)
        self.connections.after_wait()
        return complete

    def run_callback(self, completion: Completion) -> None:
        """Call what was registered for a completion that is not about a connection."""
        cast(Any, completion.user_data)(completion)

    def send(self, connection: CompletionConnection, response: bytes, request: Request = NO_REQUEST) -> None:
        """Submit `response`. `request` is the last request that was handled: it may end the connection.

        Each connection has at most one send in flight, so responses keep their order and their size is
        limited.
        """
        if not request.keep_alive:
            connection.close_after(request)
        connection.unsent = response
        connection.phase_start_s = self.connections.now_s
        self._recently_sent.add(connection)
        connection.sending = self._send(connection.fd, response, SEND_FLAGS, connection)

    def update(self, connection: CompletionConnection) -> None:
        """After a completion: write the state to the board, and submit what the connection needs next."""
        if connection.needs_update or connection.parser.partial:
            self._submit_next(connection)
        elif not (connection.unsent or connection.queued):
            connection.phase_start_s = self.connections.now_s
            self._words[connection.fd] = connection.tag | C_IDLE

    def _submit_next(self, connection: CompletionConnection) -> None:
        """Continue a partial request or response, or close the connection."""
        responding = bool(connection.unsent) or connection.queued  # the client waits for us
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
        if not connection.queued:
            self.connections.update(connection)

    def _update_receive(self, connection: CompletionConnection) -> None:
        """Submit a receive again, unless the client is too far ahead of its responses.

        After ENOBUFS this cannot spin: the connections that hold the buffers have data, and return them.
        """
        if not (connection.unsent or connection.queued):
            connection.read_ahead = 0
        if not connection.receiving:
            if connection.read_ahead <= READ_AHEAD_BYTES and not connection.eof:
                connection.receiving = self.ring.recv(connection.fd, connection)
        elif connection.read_ahead > READ_AHEAD_BYTES and not connection.pausing:
            connection.pausing = True
            self.ring.cancel(connection.receiving)

    def close(self, connection: CompletionConnection) -> None:
        """End a connection. Its descriptor is closed once no operation is in flight.

        A receive in flight would keep the socket open, and could take bytes of the next connection with that
        descriptor.
        """
        connection.lost = connection.needs_update = True
        if not connection.queued:  # else a worker may use the list
            connection.pending.clear()
        flying = [operation for operation in (connection.receiving, connection.sending) if operation]
        if not flying and not connection.queued:
            self._recently_sent.discard(connection)
            self.connections.close(connection)
        elif not connection.cancelling:
            connection.cancelling = True
            self._words[connection.fd] &= 0xFF00  # not idle: a drain must not find it again in each round
            for operation in flying:
                self.ring.cancel(operation)

    def sweep(self) -> None:
        """After a round: close what has timed out, resume accepting, publish the counters."""
        if self.connections.now_s >= self.connections.next_check_s:
            for connection in tuple(self.connections.expired()):
                self.close(connection)
        if self._recently_sent and self.connections.now_s >= self._tick_s:
            self._tick()
        if self._acceptor and self._acceptor.paused:
            self._acceptor.resume()
        self._row.publish()

    def _tick(self) -> None:
        """Once per second: update connections with a send in flight, so a plain request need not (1 µs)."""
        self._tick_s = self.connections.now_s + TICK_S
        for connection in self._recently_sent:
            if connection.unsent:
                self.connections.update(connection)
        self._recently_sent.clear()

    def drain(self, on_stopped: Callable[[], object] | None = None) -> None:
        """Accept what the kernel has already completed, close the listener, call `on_stopped`, finish the
        rest.
        """

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
        """Close the ring."""
        self.ring.close()
