"""The crew: opens, closes and reopens connections, and names what went wrong.

Everything here is off the hot path. An `OSError` of a connection becomes an error kind in `broke`, and only there.
"""

from __future__ import annotations

import errno
import select
import socket
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

from app.load.peer import OPENING_EVENTS, IdlePeer, Peer

AT_ONCE = 128  # opening at the same time: below every usual accept queue
RETRY_EVERY_NS = 50_000_000  # while the target refuses: each attempt is an error, and none of them spins
TIMEOUTS_EVERY_NS = 250_000_000  # a scan of 10,000 peers takes 0.9 ms
_NAMES = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EADDRNOTAVAIL: "no_port",
}


class Host(Protocol):
    """What the crew needs of an executor."""

    def admit(self, peer: Peer, now: int) -> None: ...
    def dismiss(self, peer: Peer) -> None: ...


class Crew:
    """The connections of a shard, by descriptor in `table` for the hot loops."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.address = address
        self.timeout_ns = int(timeout_s * 1e9)
        self.epoll = select.epoll()
        self.poll: Callable[[float, int], list[tuple[int, int]]] = self.epoll.poll
        self.table: list[Any] = []
        self.peers: list[Peer] = []
        self.vacant: deque[Peer] = deque()
        self.opening = self.connected = self.held = self.peak = 0
        self.errors: Counter[str] = Counter()  # those that belong to no request
        self.request_errors = self.reconnects = self.lost_ns = 0
        self.failures = 0  # refused or timed out in a row
        self.scan_at = self.retry_at = 0
        self.executor: Host | None = None

    def watch(self, fd: int, handler: Any) -> None:
        """Let `handler.ready` be called for a descriptor that is registered already."""
        if fd >= len(self.table):
            self.table.extend([None] * (fd + 1024 - len(self.table)))
        self.table[fd] = handler

    # Opening

    def upkeep(self, now: int) -> None:
        """Once a tick: reopen what is closed, end what takes too long."""
        if not self.failures:
            self.open_some(now)
        elif now >= self.retry_at:
            self.retry_at = now + RETRY_EVERY_NS
            self.open_some(now, 1)
        if now >= self.scan_at:
            self.scan_at = now + TIMEOUTS_EVERY_NS
            self._end_overdue(now - self.timeout_ns)

    def open_some(self, now: int, most: int = AT_ONCE) -> None:
        while self.vacant and most > 0 and self.opening < AT_ONCE:
            most -= 1
            self._open(self.vacant.popleft(), now)

    def _open(self, peer: Peer, now: int) -> None:
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.opening += 1
        peer.attach(sock, now)
        self.epoll.register(peer.fd, OPENING_EVENTS)
        self.watch(peer.fd, peer)
        code = sock.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            self._could_not_open(peer, _NAMES.get(code, "failed"))

    def finish_opening(self, peer: Peer, now: int) -> None:
        assert peer.sock is not None
        if code := peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._could_not_open(peer, _NAMES.get(code, "failed"))
            return
        peer.opened_at = 0
        self.failures = 0
        self.epoll.modify(peer.fd, select.EPOLLIN)
        if isinstance(peer, IdlePeer):
            self._prove(peer, now)  # counts as opening until it is answered: so the accept queue is never overrun
            return
        self.opening -= 1
        self.connected += 1
        self.peak = max(self.peak, self.connected + self.held)
        if self.executor:
            self.executor.admit(peer, now)
        self.open_some(now)

    def _could_not_open(self, peer: Peer, name: str) -> None:
        self.failures += 1
        self.errors[f"connect_{name}"] += 1
        self.close(peer)
        self.vacant.append(peer)

    # Closing

    def close(self, peer: Peer) -> None:
        """Forget the descriptor before closing it, or a late event finds the next owner of its number."""
        assert peer.sock is not None
        if isinstance(peer, IdlePeer):
            self.opening -= not peer.held
            self.held -= peer.held
            peer.held = False
        elif peer.opening:
            self.opening -= 1
        else:
            self.connected -= 1
            if self.executor and not peer.sent_at:
                self.executor.dismiss(peer)
        self.epoll.unregister(peer.fd)
        self.table[peer.fd] = None
        peer.sock.close()
        peer.sock = None
        peer.sent_at = peer.opened_at = 0

    def reopen(self, peer: Peer, now: int) -> None:
        self.close(peer)
        self.vacant.append(peer)
        if not self.failures:
            self.open_some(now)

    def fail(self, peer: Peer, error: str, now: int) -> None:
        """The request in flight is lost, and with it the connection."""
        self.count_error(peer, error, now)
        self.reopen(peer, now)

    def count_error(self, peer: Peer, error: str, now: int) -> None:
        peer.kind.errors[error] += 1
        peer.kind.bytes_in += peer.got
        self.request_errors += 1
        self.lost_ns += now - peer.sent_at

    def broke(self, peer: Peer, error: OSError, now: int) -> None:
        """An operation on a peer with a request in flight failed, or would have blocked."""
        if not isinstance(error, BlockingIOError):
            self.fail(peer, _NAMES.get(error.errno or 0, "failed"), now)
        elif peer.unsent is not None:
            self._push(peer, now)

    def _end_overdue(self, before: int) -> None:
        now = before + self.timeout_ns
        for peer in [p for p in self.peers if 0 < (p.sent_at or p.opened_at) < before]:
            if peer.opening:
                self._could_not_open(peer, "timeout")
            else:
                self.fail(peer, "timeout", now)

    def abandon(self, now: int) -> None:
        """The load is over and patience too: what is still in flight has timed out."""
        for peer in self.peers:
            if peer.sent_at:
                self.count_error(peer, "timeout", now)
                self.close(peer)

    # Requests that do not fit into one send

    def cut_short(self, peer: Peer, sent: int) -> None:
        """The kernel took only a part of the request: send the rest as it makes room."""
        peer.unsent = memoryview(peer.kind.request)[sent:]
        self.epoll.modify(peer.fd, select.EPOLLIN | select.EPOLLOUT)

    def _push(self, peer: Peer, now: int) -> None:
        assert peer.unsent is not None
        try:
            peer.unsent = peer.unsent[peer.send(peer.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(peer, _NAMES.get(error.errno or 0, "failed"), now)
            return
        if not peer.unsent:
            # Ask for writability only while bytes are waiting, or the loop never sleeps.
            peer.unsent = None
            self.epoll.modify(peer.fd, select.EPOLLIN)

    # The idle crowd

    def _prove(self, peer: IdlePeer, now: int) -> None:
        try:
            peer.send(peer.kind.request)
        except OSError:
            self.lose_idle(peer, now)

    def hold(self, peer: IdlePeer, now: int) -> None:
        """It was served once: from now on it is only there."""
        peer.held = True
        self.held += 1
        self.opening -= 1
        self.peak = max(self.peak, self.connected + self.held)
        self.open_some(now)

    def lose_idle(self, peer: IdlePeer, now: int) -> None:
        """Not opened again: that the server let go of it is a finding."""
        self.errors["idle_closed" if peer.held else "idle_unserved"] += 1
        self.close(peer)
        self.open_some(now)
