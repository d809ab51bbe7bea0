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

from app.load.connections.connection import OPENING_EVENTS, Peer
from app.load.connections.failures import name_of
from app.load.connections.request_mix import Kind
from app.load.connections.slow_clients import SlowPeer

AT_ONCE = 128  # opening at the same time: below every usual accept queue
CROWD_AT_ONCE = (
    96  # of them of the idle crowd: a server that serves none of it leaves the load room to open again
)
RETRY_EVERY_NS = 50_000_000  # while the target refuses: each attempt is an error, and none of them spins
TIMEOUTS_EVERY_NS = 250_000_000  # a scan of 10,000 peers takes 0.9 ms


class Host(Protocol):
    """What the crew needs of the floor."""

    pick: Callable[[], Kind] | None
    admit: Callable[[Peer, int], None]

    def dismiss(self, peer: Peer) -> None: ...


class _Nobody:
    """At the place of a descriptor that was closed while an event of it was on its way."""

    sent_at = 0  # to the hot loops it looks like a peer with nothing in flight

    def ready(self, _now: int) -> None: ...


NOBODY = _Nobody()


class Crew:
    """The connections of a shard, by descriptor in `table` for the hot loops."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.address = address
        self.timeout_ns = int(timeout_s * 1e9)
        self.epoll = select.epoll()
        self.poll: Callable[[float, int], list[tuple[int, int]]] = self.epoll.poll
        self.table: list[Any] = []
        self.peers: list[Peer] = []
        self.slow: list[SlowPeer] = []
        self.vacant: deque[Peer] = deque()  # to be opened
        self.outside: deque[Peer] = deque()  # of the idle crowd, to be opened when the load wants nothing
        self.reserve: deque[Peer] = deque()  # not yet called up by a ramp, or retired by it
        self.active = (
            0  # connections that the load itself has or wants: all but the reserve and who stands beside
        )
        self.opening = self.connected = self.held = self.beside = self.peak = 0
        self.unproved = 0  # of those that are opening: of the idle crowd
        self.counts_itself = False  # these peers take their own events, and count in `owed` what is in flight
        self.owed = 0
        self.aside = 0  # answers to those that stand beside the load: the idle crowd and the slow
        self.cut_off = 0  # slow ones that the server closed, which is its right
        self.errors: Counter[str] = Counter()  # those that belong to no request
        self.request_errors = self.reconnects = self.lost_ns = 0
        self.failures = 0  # refused or timed out in a row
        self.scan_at = self.retry_at = 0
        self.host: Host | None = None

    def watch(self, fd: int, handler: Any) -> None:
        """Let `handler.ready` be called for a descriptor that is registered already."""
        if fd >= len(self.table):
            self.table.extend([NOBODY] * (fd + 1024 - len(self.table)))
        self.table[fd] = handler

    # Opening

    def upkeep(self, now: int) -> None:
        """Once a tick: reopen what is closed, end what takes too long."""
        if not self.failures:
            self.open_some(now)
        elif now >= self.retry_at:
            self.retry_at = now + RETRY_EVERY_NS
            self.open_some(now, 1)
        for slow in self.slow:
            if now >= slow.due:
                slow.step(now)
        if now >= self.scan_at:
            self.scan_at = now + TIMEOUTS_EVERY_NS
            self._end_overdue(now - self.timeout_ns)

    def open_some(self, now: int, most: int = AT_ONCE) -> None:
        while most > 0 and self.opening < AT_ONCE and (queue := self._next_queue()):
            most -= 1
            queue.popleft().open(now)

    def _next_queue(self) -> deque[Peer] | None:
        if self.vacant:
            return self.vacant
        return self.outside if self.unproved < CROWD_AT_ONCE else None

    def new_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, peer: Peer, now: int, receive_buffer: int = 0) -> None:
        """Begin to open a peer's connection; `finish_opening` when it is there."""
        sock = self.new_socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.opening += 1
        peer.attach(sock, now)
        self.epoll.register(peer.fd, OPENING_EVENTS)
        self.watch(peer.fd, peer)
        code = sock.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            self._could_not_open(peer, name_of(code))

    def take_in(self, peer: Peer, events: int) -> None:
        """Count a connection that its peer has opened by itself, and watch it."""
        self.epoll.register(peer.fd, events)
        self.watch(peer.fd, peer)
        self.connected += 1
        self.note_peak()

    def finish_opening(self, peer: Peer, now: int) -> None:
        assert peer.sock is not None
        if code := peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._could_not_open(peer, name_of(code))
            return
        peer.opened_at = 0
        self.failures = 0
        self.epoll.modify(peer.fd, select.EPOLLIN)
        peer.opened(now)
        self.note_peak()
        self.open_some(now)

    def note_peak(self) -> None:
        self.peak = max(self.peak, self.connected + self.held + self.beside)

    def admit(self, peer: Peer, now: int) -> None:
        """A peer has nothing in flight: what it does next is the executor's rule."""
        assert self.host
        self.host.admit(peer, now)

    def dismiss(self, peer: Peer) -> None:
        """A peer without anything in flight is gone."""
        if self.host:
            self.host.dismiss(peer)

    def pick(self) -> Kind:
        """The next kind of the mix."""
        assert self.host and self.host.pick
        return self.host.pick()

    def call_up(self, most: int, now: int) -> None:
        """Bring peers of the reserve into the load."""
        for _ in range(min(most, len(self.reserve))):
            self.active += 1
            self.vacant.append(self.reserve.popleft())
        if not self.failures:
            self.open_some(now)

    def retire(self, peer: Peer) -> None:
        """Send a peer without anything in flight back to the reserve."""
        if peer.sock is not None:
            self.close(peer)
        self.active -= 1
        self.reserve.append(peer)

    def _could_not_open(self, peer: Peer, name: str) -> None:
        self.failures += 1
        self.errors[f"connect_{name}"] += 1
        self.close(peer)
        peer.queue_up()

    # Closing

    def close(self, peer: Peer) -> None:
        """Forget the descriptor before closing it, or a late event finds the next owner of its number."""
        assert peer.sock is not None
        peer.left()
        self._forget(peer)
        peer.sent_at = peer.since = peer.opened_at = 0

    def let_go(self, peer: Peer) -> None:
        """Close a connection that its peer has opened by itself."""
        if peer.sock is None:
            return
        if self.table[peer.fd] is peer:
            self.connected -= 1
            self._forget(peer)
        else:  # it failed before it was watched
            peer.sock.close()
            peer.sock = None

    def _forget(self, peer: Peer) -> None:
        assert peer.sock is not None
        self.epoll.unregister(peer.fd)
        self.table[peer.fd] = NOBODY
        peer.sock.close()
        peer.sock = None

    def reopen(self, peer: Peer, now: int) -> None:
        self.close(peer)
        peer.queue_up()
        if not self.failures:
            self.open_some(now)

    def count_error(self, kind: Kind, error: str, took_ns: int, got: int) -> None:
        """A request of this kind was lost, so long after it was sent; `got` bytes had come of its answer."""
        kind.errors[error] += 1
        kind.bytes_in += got
        self.request_errors += 1
        self.lost_ns += took_ns

    def broke(self, peer: Peer, error: OSError, now: int) -> None:
        """An operation on a peer with a request in flight failed, or would have blocked."""
        if not isinstance(error, BlockingIOError):
            peer.lose(name_of(error), now)
        elif peer.unsent is not None:
            peer.push(now)

    def _end_overdue(self, before: int) -> None:
        now = before + self.timeout_ns
        for peer in [p for p in self.peers if 0 < (p.sent_at or p.since or p.opened_at) < before]:
            if peer.opening:
                self._could_not_open(peer, "timeout")
            else:
                peer.lose("timeout", now)

    def abandon(self, now: int) -> None:
        """The load is over and patience too: what is still in flight has timed out."""
        for peer in self.peers:
            if peer.asked_at:
                peer.give_up("timeout", now)

    # Those that stand beside the load

    def hasten(self, now: int) -> None:
        """The load is over: the slow take the rest of their answers at full speed, and go."""
        for peer in self.slow:
            peer.hasten(now)
