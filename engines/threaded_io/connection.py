"""A connection of the blocking model, which one thread serves from beginning to end.

The kernel keeps the deadlines (SO_RCVTIMEO, SO_SNDTIMEO): no further system call, and a read that takes too
long fails with EAGAIN. This is the only place where an OSError of such a connection is caught.
"""

from __future__ import annotations

import socket
import struct
import time

from engines.common.board.board import (
    BLOCKED,
    C_IDLE,
    C_READING,
    CLOSED,
    CONNECTIONS,
    OTHER_CALLS,
    STATE,
    TIMEOUTS,
    WRITING,
)
from engines.common.board.row import BoardRow
from engines.common.connection import LINGER_BYTES, LINGER_S, RECV_BYTES
from engines.common.contract import Setup
from engines.common.http.requests import CONTINUE, NO_REQUEST, Request


class BlockingConnection:
    """One connection and the thread that serves it. That thread only. `done`: it is to be closed."""

    __slots__ = (
        "_request_start_s",
        "_setup",
        "_timeout_s",
        "_words",
        "done",
        "fd",
        "parser",
        "row",
        "sock",
        "tag",
    )

    def __init__(self, sock: socket.socket, setup: Setup, row: BoardRow) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.parser = setup.new_parser()
        self.done = False
        self.row = row
        row.wakes_per_recv = True
        generation = (setup.board.words[self.fd] + 0x100) & 0xFF00
        self.tag = row.tag | generation
        self._setup = setup
        self._words = setup.board.words
        self._request_start_s = 0.0  # when the partial request began; 0: there is none
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(setup.knobs.write_s))
        self._timeout_s = float(setup.knobs.idle_s)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self._timeout_s))
        row.counters[OTHER_CALLS] += 3
        row.cells[CONNECTIONS] = 1
        self._words[self.fd] = self.tag | C_IDLE

    def recv(self) -> bytes:
        """Block until bytes arrive and return them; b"" if the connection has ended or timed out."""
        row = self.row
        row.recv_calls += 1
        try:
            data = self.sock.recv(RECV_BYTES)
        except BlockingIOError:
            row.counters[TIMEOUTS] += 1
            data = b""
        except OSError:
            data = b""
        if row.trace_wanted[0] != row.tracing:
            row.switch_trace()
        if data:
            row.bytes_in += len(data)
        else:
            self.done = True
        return data

    def send(self, response: bytes, request: Request = NO_REQUEST) -> None:
        """Send all of `response`. A client that does not take it within `write_s` ends the connection.

        `request` is the last request that was handled: it may end the connection.
        """
        self.row.send_calls += 1
        try:
            try:  # without waiting, so that a wait for the client can be marked as such
                sent = self.sock.send(response, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent < len(response):
                self._send_rest(memoryview(response)[sent:])
            self.row.bytes_out += len(response)
        except BlockingIOError:  # SO_SNDTIMEO
            self.row.counters[TIMEOUTS] += 1
            self.done = True
        except OSError:
            self.done = True
        if not request.keep_alive:
            self.close_after(request)

    def _send_rest(self, rest: memoryview) -> None:
        """Send the rest within `write_s` in total: SO_SNDTIMEO alone would restart with each part."""
        self.row.mark[STATE] = BLOCKED
        ends_s = time.monotonic() + self._setup.knobs.write_s
        while rest:
            if time.monotonic() >= ends_s:
                raise BlockingIOError
            self.row.send_calls += 1
            rest = rest[self.sock.send(rest) :]
        self.row.mark[STATE] = WRITING

    def close_after(self, request: Request) -> None:
        """End the connection after the response to `request`; linger if it must be readable."""
        if not self.done and (request.rejection or self._setup.handler.draining):
            self._linger()
        self.done = True

    def update(self) -> None:
        """After a round: write the state to the board, and set the deadline of a partial request."""
        if self._words[self.fd] & 0xFF != C_READING:
            self._request_start_s = 0.0  # after a response, the next request has its own deadline
        if self.parser.partial and not self.done:
            if self.parser.wants_continue:
                self.parser.wants_continue = False
                self.send(CONTINUE)
            self._check_arrival()
        else:
            self._words[self.fd] = self.tag | C_IDLE
            if self._request_start_s:
                self._request_start_s = 0.0
                self._set_timeout(float(self._setup.knobs.idle_s))

    def finish(self) -> None:
        """Release the parser and count the end. Last call of the thread."""
        self.parser.close()
        self.row.counters[CLOSED] += 1
        self.row.counters[OTHER_CALLS] += 1

    def _check_arrival(self) -> None:
        """Apply the deadline of the whole head, or the whole body, not of each read."""
        now_s = time.monotonic()
        self._request_start_s = self._request_start_s or now_s
        self._words[self.fd] = self.tag | C_READING
        allowed_s = self._setup.knobs.body_s if self.parser.in_body else self._setup.knobs.header_s
        left_s = self._request_start_s + allowed_s - now_s
        if left_s <= 0:
            self.row.counters[TIMEOUTS] += 1
            self.done = True
        else:
            self._set_timeout(left_s)

    def _set_timeout(self, seconds: float) -> None:
        if seconds != self._timeout_s:
            self._timeout_s = seconds
            self.row.counters[OTHER_CALLS] += 1
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def _linger(self) -> None:
        """Close the sending side and discard input: a reset could make the client lose the response."""
        end_s, discarded_bytes = time.monotonic() + LINGER_S, 0
        self.row.mark[STATE] = BLOCKED
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self._set_timeout(LINGER_S)
            while (
                discarded_bytes <= LINGER_BYTES
                and time.monotonic() < end_s
                and (data := self.sock.recv(RECV_BYTES))
            ):
                discarded_bytes += len(data)
        except OSError:
            pass  # the client has closed, or the time is over


def _timeval(seconds: float) -> bytes:
    """Return a struct timeval; never (0, 0), which means no timeout."""
    return struct.pack("ll", int(seconds), max(1, int(seconds % 1 * 1_000_000)))
