"""The completion side of a proactor: a ring, the peers whose operations are in flight in it, and their ends.

The counterpart of `Demultiplexer`. That one says which socket *could* be read; this one says what *has been* read,
into a buffer of the pool, or sent. All methods belong to the thread that waits.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from engines.common.board.board import C_IDLE, CONNECTIONS, READING, STATE, Row
from engines.common.connection import AHEAD_BYTES
from engines.common.connections import TICK_S, Peers
from engines.common.contract import Setup
from engines.common.http.inbox import CONTINUE, NO_REQUEST, Request
from engines.common.mailbox import Mailbox
from engines.completion_io.acceptor import PAUSE_S, CompletionAcceptor
from engines.completion_io.connection import CompletionPeer
from engines.completion_io.ring import SEND_FLAGS, Ring

if TYPE_CHECKING:
    from uring_api import Completion

REAP_S = 0.25  # after the grace: what cancelled operations get to come back


class CompletionPeers(Peers):
    """The peers of one ring."""

    def open(self, sock: socket.socket) -> CompletionPeer:
        """Take a connection over."""
        peer = CompletionPeer(sock, self.now_s)
        peer.tag = self._row.tag | ((self._words[peer.fd] + 0x100) & 0xFF00)
        self.by_fd[peer.fd] = peer
        self._words[peer.fd] = peer.tag | C_IDLE
        self._row.cells[CONNECTIONS] = len(self.by_fd)
        self._deadlines.file(peer)
        return peer


class CompletionQueue:
    """Submits for many sockets at once and waits for what is complete. `about` a peer, or a call to be made."""

    def __init__(self, setup: Setup, row: Row, mailbox: Mailbox) -> None:
        self.ring = Ring(setup.knobs.buffers, setup.knobs.buffer_size)
        self._send = self.ring.send
        self.peers = CompletionPeers(setup, row)
        self.by_fd = self.peers.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._acceptor: CompletionAcceptor | None = None
        self._writing: set[CompletionPeer] = set()  # who had something sent to them since the last tick
        self._tick_s = 0.0
        self.watch(mailbox.fd, mailbox.run_all)

    @property
    def alive(self) -> bool:
        """Until the engine is asked to stop, and then until the last peer is gone."""
        leave_by_s = self.peers.leave_by_s
        return leave_by_s is None or (bool(self.by_fd) and self.peers.now_s < leave_by_s + REAP_S)

    def listen(
        self, listener: socket.socket, adopt: Callable[[socket.socket], object], held: Callable[[], int]
    ) -> None:
        """Accept from `listener` here. Each connection goes to `adopt`; `held` tells how many there are already."""
        most = self._setup.knobs.max_connections
        self._acceptor = CompletionAcceptor(
            listener, self.ring, self._setup.board, self._row, most, adopt, held
        )

    def watch(self, fd: int, call: Callable[[], None], once: bool = False) -> None:
        """Call `call` when `fd` is readable. For a bell or the end, not for data: there is nothing to receive, and
        an eventfd that does not block would be answered with EAGAIN if a read of it were submitted."""

        def rung(_: Completion) -> None:
            self._row.mark[STATE] = READING
            call()
            if not once:
                self.ring.poll(fd, rung)

        self.ring.poll(fd, rung)

    def open(self, sock: socket.socket) -> None:
        """Make a connection a peer of this ring: from here on there is always a receive in flight for it."""
        peer = self.peers.open(sock)
        peer.receiving = self.ring.recv(peer.fd, peer)

    def wait(self) -> list[Completion]:
        """Submit what was asked for, block until something is complete; answers the completions."""
        patience_s: float | None = self.peers.patience_s
        if self._acceptor and self._acceptor.paused:
            patience_s = PAUSE_S
        elif patience_s == -1:
            patience_s = None
        complete = self.ring.wait(patience_s)
        self.peers.wake()
        return complete

    def call(self, completion: Completion) -> None:
        """The completion is not about a peer: the listener, the end, or a mailbox."""
        cast(Any, completion.user_data)(completion)

    def send(self, peer: CompletionPeer, answer: bytes, request: Request = NO_REQUEST) -> None:
        """Submit `answer` to `request`, which may be the last. One send of a peer is in flight at a time, so answers
        keep their order and are bounded."""
        if not request.keep_alive:
            peer.last(request)
        peer.outbox = answer
        peer.since_s = self.peers.now_s
        self._writing.add(peer)
        peer.sending = self._send(peer.fd, answer, SEND_FLAGS, peer)

    def rest(self, peer: CompletionPeer) -> None:
        """After a completion: leave on the board what the peer is at, and submit what it needs next."""
        if peer.unsettled or peer.inbox.partial:
            self._settle(peer)
        elif not (peer.outbox or peer.handed_on):
            peer.since_s = self.peers.now_s
            self._words[peer.fd] = peer.tag | C_IDLE

    def _settle(self, peer: CompletionPeer) -> None:
        """More than the next request is ahead: the rest of one, the rest of an answer, or the end."""
        ours = bool(peer.outbox) or peer.handed_on  # it is our turn, not the peer's
        if peer.lost or (peer.eof and not ours):
            return self.close(peer)
        if peer.outbox and not peer.sending:
            peer.sending = self._send(peer.fd, peer.outbox, SEND_FLAGS, peer)
        elif peer.inbox.wants_continue and not ours:
            peer.inbox.wants_continue = False
            self.send(peer, CONTINUE)
        elif peer.closing and not (ours or peer.lingering):
            if not (peer.answer_must_be_read or self._setup.handler.draining):
                return self.close(peer)
            self.peers.linger(peer)
        self._want(peer)
        ended = peer.closing or peer.eof or peer.lost
        peer.unsettled = ended or not peer.receiving or peer.inbox.wants_continue
        if not peer.handed_on:
            self.peers.rest(peer)

    def _want(self, peer: CompletionPeer) -> None:
        """Receive again, unless the peer is too far ahead: while it does not take our answers we take no more of its
        requests. After ENOBUFS this cannot spin: whoever has the buffers brings data, and gives them back."""
        if not (peer.outbox or peer.handed_on):
            peer.ahead = 0
        if not peer.receiving:
            if peer.ahead <= AHEAD_BYTES and not peer.eof:
                peer.receiving = self.ring.recv(peer.fd, peer)
        elif peer.ahead > AHEAD_BYTES and not peer.pausing:
            peer.pausing = True
            self.ring.cancel(peer.receiving)

    def close(self, peer: CompletionPeer) -> None:
        """End a connection. Its descriptor is closed once nothing can complete for it any more: a receive in flight
        would keep the socket open, and could take what is sent to the next connection with that number."""
        peer.lost = peer.unsettled = True
        if not peer.handed_on:  # else a worker is about to take the first of them
            peer.todo.clear()
        flying = [operation for operation in (peer.receiving, peer.sending) if operation]
        if not flying and not peer.handed_on:
            self._writing.discard(peer)
            self.peers.close(peer)
        elif not peer.ending:
            peer.ending = True
            self._words[peer.fd] &= (
                0xFF00  # said once: a drain must not find thousands of them idle in each round
            )
            for operation in flying:
                self.ring.cancel(operation)

    def sweep(self) -> None:
        """After a round: end what is out of time, accept again if there is room, publish the counters."""
        if self.peers.now_s >= self.peers.look_s:
            for peer in tuple(self.peers.expired()):
                self.close(cast(CompletionPeer, peer))
        if self._writing and self.peers.now_s >= self._tick_s:
            self._tick()
        if self._acceptor and self._acceptor.paused:
            self._acceptor.resume()
        self._row.publish()

    def _tick(self) -> None:
        """Once a second: mark and file who is still being sent to, so that a plain request need not (1 µs)."""
        self._tick_s = self.peers.now_s + TICK_S
        for peer in self._writing:
            if peer.outbox:
                self.peers.rest(peer)
        self._writing.clear()

    def drain(self, then: Callable[[], object] | None = None) -> None:
        """Asked to stop: take what the kernel has already accepted, close the listener, call `then`, and finish what
        is in flight."""

        def no_more_come() -> None:
            self._acceptor = None
            if then:
                then()
            self.peers.drain()

        if self._acceptor:
            self._acceptor.stop(no_more_come)
        else:
            no_more_come()

    def end(self) -> None:
        self.ring.close()
