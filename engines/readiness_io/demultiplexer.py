"""The synchronous event demultiplexer of a readiness loop: epoll, the peers behind it, and their ends.

Everything here is the same whether one loop does all the work or hands it on; what is done with a request is
the lesson's. All methods belong to the thread that waits.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from engines.common.acceptor import BATCH, PAUSE_S, Acceptor
from engines.common.board.board import ACCEPTING, C_IDLE, OTHER_CALLS, READING, STATE, Row
from engines.common.connection import Peer
from engines.common.connections import Peers
from engines.common.contract import Setup
from engines.common.http.inbox import CONTINUE
from engines.common.stop_handshakes import refuse_newcomers

EVENTS_MAX = 256
READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class Demultiplexer:
    """Waits for many sockets at once. `calls` are what to do for descriptors that are not peers."""

    def __init__(self, setup: Setup, row: Row) -> None:
        self.peers = Peers(setup, row)
        self.by_fd = self.peers.by_fd
        self._setup = setup
        self._row = row
        self._words = setup.board.words
        self._poll = select.epoll()
        self._calls: dict[int, tuple[Callable[[], object], int]] = {}
        self._acceptor: Acceptor | None = None
        self._adopt: Callable[[socket.socket], object] = self.open
        self._held: Callable[[], int] = self.by_fd.__len__

    @property
    def alive(self) -> bool:
        """Until the engine is asked to stop, and then until the last peer is gone."""
        return bool(self.by_fd) or self.peers.leave_by_s is None

    def listen(
        self,
        listener: socket.socket,
        adopt: Callable[[socket.socket], object] | None = None,
        held: Callable[[], int] | None = None,
        batch: int = BATCH,
    ) -> None:
        """Accept from `listener` here. Each connection goes to `adopt` (default: becomes a peer of this loop);
        `held` tells how many there are already. `batch`: how many at once, of a burst."""
        self._held = held or self.by_fd.__len__
        most = self._setup.knobs.max_connections
        self._acceptor = Acceptor(listener, self._setup.board, self._row, most, batch)
        self._adopt = adopt or self.open
        self.watch(listener.fileno(), self._accept, ACCEPTING)

    def watch(self, fd: int, call: Callable[[], object], state: int = READING) -> None:
        """Call `call` whenever `fd` is readable; the thread is then in `state`."""
        self._calls[fd] = call, state
        self._poll.register(fd, READABLE)

    def open(self, sock: socket.socket) -> Peer:
        """Make a connection a peer of this loop."""
        peer = self.peers.open(sock)
        peer.interest = READABLE
        self._row.tally[OTHER_CALLS] += 1
        self._poll.register(peer.fd, READABLE)
        return peer

    def wait(self) -> list[tuple[int, int]]:
        """Block until something is ready; answers (descriptor, events)."""
        paused = self._acceptor is not None and self._acceptor.paused
        ready = self._poll.poll(PAUSE_S if paused else self.peers.patience_s, EVENTS_MAX)
        self.peers.wake()
        return ready

    def call(self, fd: int) -> None:
        """The descriptor is not a peer: the listener, the end, or a mailbox (or a peer that closed meanwhile)."""
        if found := self._calls.get(fd):
            call, state = found
            self._row.mark[STATE] = state
            call()

    def resume(self, peer: Peer, events: int) -> None:
        """Not only readable: there is room for the rest of an answer, or the connection is ending.

        While a peer does not take our answers we take no more of its requests, so what we hold for it is bounded.
        """
        if peer.outbox:
            peer.flush(self._row)
        if not peer.outbox:
            peer.recv(self._row)

    def rest(self, peer: Peer) -> None:
        """After an event: leave on the board what the peer is at, and wait for what it needs next."""
        if peer.unsettled or peer.inbox.partial:
            self._settle(peer)
        else:
            peer.since_s = self.peers.now_s
            self._words[peer.fd] = peer.tag | C_IDLE

    def _settle(self, peer: Peer) -> None:
        """More than the next request is ahead: the rest of one, the rest of an answer, or the end."""
        if peer.lost or (peer.eof and not peer.outbox and not peer.busy):
            return self.peers.close(peer)
        if peer.inbox.wants_continue and not (
            peer.todo or peer.outbox or peer.busy
        ):  # answers to come go first
            peer.inbox.wants_continue = False
            peer.send(CONTINUE, self._row)
        if peer.outbox:
            self.want(peer, WRITABLE)
        elif peer.closing and not peer.lingering and not peer.busy:
            if not (peer.answer_must_be_read or self._setup.handler.draining):
                return self.peers.close(peer)
            self.peers.linger(peer)
            self.want(peer, READABLE)
        else:
            peer.unsettled = peer.closing
            self.want(peer, READABLE)
        self.peers.rest(peer)

    def want(self, peer: Peer, interest: int) -> None:
        """Ask for other events than before. Ask for writability only while bytes wait, or the loop never sleeps.

        No interest means off the list: epoll reports a hang-up to whoever is on it, and the loop would spin.
        """
        if peer.interest == interest:
            return
        self._row.tally[OTHER_CALLS] += 1
        if not interest:
            self._poll.unregister(peer.fd)
        elif not peer.interest:
            self._poll.register(peer.fd, interest)
        else:
            self._poll.modify(peer.fd, interest)
        peer.interest = interest

    def sweep(self) -> None:
        """After a round of events: end what is out of time, accept again if there is room, publish the counters."""
        if self.peers.now_s >= self.peers.look_s:
            for peer in tuple(self.peers.expired()):
                self.peers.close(peer)
        if (acceptor := self._acceptor) and acceptor.paused and acceptor.resume(self._held()):
            self._poll.modify(acceptor.listener.fileno(), READABLE)
        self._row.publish()

    def drain(self) -> None:
        """Asked to stop: take what the kernel has already accepted, close the listener, finish what is in flight."""
        if self._calls.pop(self._setup.stopping, None):
            self._poll.unregister(self._setup.stopping)  # it stays readable: the loop would spin
        if self._acceptor:
            self._acceptor.paused = False
            self._acceptor.unbounded()  # the limit does not count any more: they are in
            refuse_newcomers(self._acceptor.listener)
            while self._accept():
                pass
            self._calls.pop(self._acceptor.listener.fileno(), None)
            self._poll.unregister(
                self._acceptor.listener
            )  # closing ends that only if no other process has it open
            self._acceptor.listener.close()
            self._acceptor = None
        self.peers.drain()

    def close(self) -> None:
        self._poll.close()

    def _accept(self) -> int:
        assert self._acceptor is not None
        self._row.mark[STATE] = ACCEPTING
        taken = 0
        for sock in self._acceptor.accept(self._held()):
            self._adopt(sock)
            taken += 1
        if self._acceptor.paused:  # a paused listener stays readable: do not wait for it
            self._poll.modify(self._acceptor.listener.fileno(), 0)
        return taken
