"""The peers that one thread holds: opened, marked on the board, expired, closed. That thread only."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

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
    Row,
)
from engines.common.connection import Peer
from engines.common.contract import Setup
from engines.common.deadlines import Deadlines

TICK_S = 1.0
DRAIN_IDLE_S = 0.1  # what an idle peer gets to send one last request when the engine is asked to stop


class Peers:
    """All the connections of one thread, and the clock they live by."""

    def __init__(self, setup: Setup, row: Row) -> None:
        self.by_fd: dict[int, Peer] = {}
        self.now_s = time.monotonic()
        self.look_s = 0.0  # before then nobody's deadline needs a look
        self.leave_by_s: float | None = None  # when the engine is draining: the end of its grace
        self._drain_idle_until_s = 0.0
        self._setup = setup
        self._row = row
        self._handler = setup.handler
        self._words = setup.board.words
        self._deadlines = Deadlines(setup.knobs, self.now_s)

    def __len__(self) -> int:
        return len(self.by_fd)

    def open(self, sock: socket.socket) -> Peer:
        """Take a connection over."""
        peer = Peer(sock, self.now_s)
        peer.tag = self._row.tag | (
            (self._words[peer.fd] + 0x100) & 0xFF00
        )  # the descriptor's next generation
        self.by_fd[peer.fd] = peer
        self._words[peer.fd] = peer.tag | C_IDLE
        self._row.cells[CONNECTIONS] = len(self.by_fd)
        self._deadlines.file(peer)
        return peer

    def close(self, peer: Peer) -> None:
        """Close and forget. The word says so *before* the descriptor can be given to another connection."""
        if self.by_fd.pop(peer.fd, None) is None:
            return
        self._deadlines.forget(peer)
        peer.inbox.close()
        peer.lost = True
        self._words[peer.fd] &= 0xFF00
        self._row.cells[CONNECTIONS] = len(self.by_fd)
        self._row.tally[CLOSED] += 1
        self._row.tally[OTHER_CALLS] += 1
        peer.sock.close()

    def mark(self, peer: Peer, state: int) -> None:
        """Leave a connection's state on the board."""
        self._words[peer.fd] = peer.tag | state

    def rest(self, peer: Peer) -> None:
        """Mark what the peer is at, and from when on its deadline counts."""
        if peer.outbox or peer.lingering:  # what a peer still sends does not prolong its linger
            state = C_WRITING
        elif peer.inbox.partial:
            state = C_READING
        else:
            peer.since_s = self.now_s
            self._words[peer.fd] = peer.tag | C_IDLE
            return
        if (self._words[peer.fd] & 0xFF) != state:  # a new phase, with a deadline of its own
            peer.since_s = self.now_s
            self.mark(peer, state)
        self._deadlines.file(peer)

    def linger(self, peer: Peer) -> None:
        """Say that we are done and give the peer a second to read it."""
        peer.since_s = self.now_s
        self._row.tally[OTHER_CALLS] += 1
        peer.linger()
        self._deadlines.file(peer)

    @property
    def patience_s(self) -> float:
        """How long a loop may wait before somebody's deadline must be looked at (-1: for ever)."""
        if self.leave_by_s is not None:
            return DRAIN_IDLE_S / 4
        return TICK_S if self.by_fd else -1

    def wake(self) -> None:
        """Call after each wait: counts it and reads the clock, once for all that is ready."""
        row = self._row
        row.tally[WAIT_CALLS] += 1
        row.tally[WAKEUPS] += 1
        if row.wanted[0] != row.tracing:
            row.turn()
        self.now_s = now_s = time.monotonic()
        self._handler.tick(now_s)

    def expired(self) -> Iterator[Peer]:
        """Peers to be closed now: out of time, or idle while the engine drains."""
        self.look_s = int(self.now_s) + 1.0 if self.leave_by_s is None else 0.0
        for peer in self._deadlines.expired(self.now_s):
            self._row.tally[TIMEOUTS] += not peer.lingering
            yield peer
        if self.leave_by_s is not None and self.now_s > self._drain_idle_until_s:
            late = self.now_s > self.leave_by_s
            yield from [
                peer for peer in self.by_fd.values() if late or (self.is_idle(peer) and not peer.has_unread())
            ]

    def is_idle(self, peer: Peer) -> bool:
        """Nothing of a request has come, nothing is being answered, or all is said."""
        return peer.lingering or (self._words[peer.fd] & 0xFF) == C_IDLE

    def drain(self) -> None:
        """The engine is asked to stop: idle peers may send one last request, the rest has the grace."""
        self.now_s = time.monotonic()
        self.look_s = 0.0
        self._drain_idle_until_s = self.now_s + DRAIN_IDLE_S
        self.leave_by_s = self.now_s + float(self._setup.knobs.grace_s)
