"""The connections of the blocking model: each a conversation that one thread holds from beginning to end.

Here the kernel keeps the deadlines (SO_RCVTIMEO, SO_SNDTIMEO): no further system call, and a read that takes
too long ends with EAGAIN. This is the one place where an OSError of such a connection is caught.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial

from engines.common.board.board import (
    C_IDLE,
    C_READING,
    CLOSED,
    CONNECTIONS,
    OTHER_CALLS,
    TIMEOUTS,
    Row,
)
from engines.common.connection import CHUNK, LINGER_BYTES, LINGER_S
from engines.common.connections import DRAIN_IDLE_S
from engines.common.contract import Setup
from engines.common.http.inbox import CONTINUE, NO_REQUEST, Inbox, Request
from engines.common.process.threads import start_thread


class Conversation:
    """One connection and the thread that serves it. That thread only."""

    __slots__ = ("_arrived_s", "_setup", "_timeout_s", "_words", "fd", "inbox", "over", "row", "sock", "tag")

    def __init__(self, sock: socket.socket, setup: Setup, row: Row) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.inbox = Inbox()
        self.over = False
        self.row = row
        row.plain = True
        self.tag = row.tag | (
            (setup.board.words[self.fd] + 0x100) & 0xFF00
        )  # the descriptor's next generation
        self._setup = setup
        self._words = setup.board.words
        self._arrived_s = 0.0  # when the request that is arriving began
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(setup.knobs.write_s))
        self._timeout_s = float(setup.knobs.idle_s)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self._timeout_s))
        row.tally[OTHER_CALLS] += 3
        row.cells[CONNECTIONS] = 1
        self._words[self.fd] = self.tag | C_IDLE

    def recv(self) -> bytes:
        """Wait for bytes; none means that the conversation is over."""
        row = self.row
        row.recv_calls += 1
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            row.tally[TIMEOUTS] += 1
            data = b""
        except OSError:
            data = b""
        if row.wanted[0] != row.tracing:
            row.turn()
        if data:
            row.bytes_in += len(data)
        else:
            self.over = True
        return data

    def send(self, answer: bytes, request: Request = NO_REQUEST) -> None:
        """Write all of `answer` to `request`; a peer that does not take it in time ends the conversation."""
        self.row.send_calls += 1
        try:
            if (sent := self.sock.send(answer)) < len(answer):
                self._send_rest(memoryview(answer)[sent:])
            self.row.bytes_out += len(answer)
        except BlockingIOError:  # SO_SNDTIMEO
            self.row.tally[TIMEOUTS] += 1
            self.over = True
        except OSError:
            self.over = True
        if not request.keep_alive:
            self.last(request)

    def _send_rest(self, rest: memoryview) -> None:
        """Send what one call did not, within `write_s`: SO_SNDTIMEO alone starts anew with each part that is taken."""
        ends_s = time.monotonic() + self._setup.knobs.write_s
        while rest:
            if time.monotonic() >= ends_s:
                raise BlockingIOError
            self.row.send_calls += 1
            rest = rest[self.sock.send(rest) :]

    def last(self, request: Request) -> None:
        """`request` was answered and ends the conversation; the peer may need a moment to read a refusal."""
        if not self.over and (request.refusal or self._setup.handler.draining):
            self._linger()
        self.over = True

    def rest(self) -> None:
        """After a round: leave on the board what the peer is at, and give a request that is arriving its deadline."""
        if self._words[self.fd] & 0xFF != C_READING:
            self._arrived_s = (
                0.0  # something was answered: what has come of the next request has its own time
            )
        if self.inbox.partial and not self.over:
            if self.inbox.wants_continue:
                self.inbox.wants_continue = False
                self.send(CONTINUE)
            self._arriving()
        else:
            self._words[self.fd] = self.tag | C_IDLE
            if self._arrived_s:
                self._arrived_s = 0.0
                self._patience(float(self._setup.knobs.idle_s))

    def end(self) -> None:
        """The last line of its thread."""
        self.inbox.close()
        self.row.tally[CLOSED] += 1
        self.row.tally[OTHER_CALLS] += 1

    def _arriving(self) -> None:
        """The deadline is for the whole head, or the whole body, not for each read."""
        now_s = time.monotonic()
        self._arrived_s = self._arrived_s or now_s
        self._words[self.fd] = self.tag | C_READING
        allowed_s = self._setup.knobs.body_s if self.inbox.in_body else self._setup.knobs.header_s
        left_s = self._arrived_s + allowed_s - now_s
        if left_s <= 0:
            self.row.tally[TIMEOUTS] += 1
            self.over = True
        else:
            self._patience(left_s)

    def _patience(self, seconds: float) -> None:
        if seconds != self._timeout_s:
            self._timeout_s = seconds
            self.row.tally[OTHER_CALLS] += 1
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def _linger(self) -> None:
        """Say that we are done and discard what still comes, or a reset would eat the answer."""
        end_s, discarded = time.monotonic() + LINGER_S, 0
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self._patience(LINGER_S)
            while discarded <= LINGER_BYTES and time.monotonic() < end_s and (data := self.sock.recv(CHUNK)):
                discarded += len(data)
        except OSError:
            pass  # it is gone, or its second is over


class Crowd:
    """All conversations. Safe from any thread: the lock also guards each close, so that drain never touches
    a descriptor that was given to somebody else."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._changed = threading.Condition()
        self._peers: set[Conversation] = set()
        self.no_thread = False  # a peer was let go because no thread could be started
        self.full = False  # set by the acceptor when it waits for room: whoever leaves then rings the bell
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __len__(self) -> int:
        return len(self._peers)

    def join(self, sock: socket.socket) -> Conversation:
        conversation = Conversation(sock, self._setup, self._setup.board.claim("connection"))
        with self._changed:
            self._peers.add(conversation)
        return conversation

    def start(self, peer: Conversation, talk: Callable[[Conversation, Setup], None]) -> None:
        """Give the peer its thread; where none can be had, let it go and say so."""
        try:
            start_thread(self._setup.board, peer.row, talk, peer, self._setup, then=partial(self.leave, peer))
        except RuntimeError:  # the system's limit of threads, or of memory for their stacks
            self.no_thread = True
            peer.end()
            self._setup.board.leave(peer.row, 0, 0)
            self.leave(peer)

    def leave(self, peer: Conversation) -> None:
        """The conversation's thread has ended, and its row is free."""
        with self._changed:
            self._setup.board.words[peer.fd] &= 0xFF00
            peer.sock.close()
            self._peers.discard(peer)
            if not self._peers:
                self._changed.notify_all()
        if self.full:
            os.eventfd_write(self.bell, 1)

    def hear(self) -> None:
        """The acceptor has heard the bell."""
        os.eventfd_read(self.bell)

    def drain(self) -> None:
        """Idle peers may send one last request; the rest has the grace to finish."""
        self._setup.handler.draining = True
        grace_ends_s = time.monotonic() + float(self._setup.knobs.grace_s)
        with self._changed:
            if self._changed.wait_for(lambda: not self._peers, DRAIN_IDLE_S):
                return
            for peer in self._peers:
                if self._setup.board.words[peer.fd] & 0xFF == C_IDLE:
                    with contextlib.suppress(
                        OSError
                    ):  # it has left (ENOTCONN), and its thread has not heard of it yet
                        peer.sock.shutdown(socket.SHUT_RD)  # wakes its recv; what had arrived is still read
            self._changed.wait_for(lambda: not self._peers, max(0.0, grace_ends_s - time.monotonic()))


def _timeval(seconds: float) -> bytes:
    return struct.pack(
        "ll", int(seconds), max(1, int(seconds % 1 * 1_000_000))
    )  # (0, 0) would be no timeout at all
