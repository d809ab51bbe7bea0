"""What both executors share: resting connections, the tick, and the end of the load."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

from app.load.alarm import FAR, Alarm
from app.load.crew import Crew
from app.load.mix import Kind, Mix
from app.load.peer import Peer
from app.load.reading import digest

POLL_S = 0.05  # how long a loop may sleep: ticks, timeouts and a stop are noticed that late at most


class Ticker(Protocol):
    """What an executor needs of the tally."""

    tick_at: int

    def tick(self, now: int) -> None: ...


class Executor:
    """Sends by its own rule; this much of it does not depend on the rule."""

    is_open = False

    def __init__(self, crew: Crew, alarm: Alarm) -> None:
        self.crew = crew
        self.alarm = alarm
        self.ticker: Ticker | None = None
        self.stopped = False  # set by a signal
        self.resting: deque[Peer] = deque()  # connected, nothing in flight
        self.pick: Callable[[], Kind] | None = None
        self.intended = self.late = self.waited = 0
        self.lateness_us: list[int] = []

    @property
    def in_flight(self) -> int:
        return self.crew.connected - len(self.resting)

    @property
    def unsent(self) -> int:
        return 0

    def run(self, mix: Mix, from_ns: int, until_ns: int) -> None:
        raise NotImplementedError

    def admit(self, peer: Peer, now: int) -> None:
        """A connection is there and has nothing in flight."""
        self.resting.append(peer)

    def dismiss(self, peer: Peer) -> None:
        """A resting connection is gone. Linear, and rare."""
        if peer in self.resting:
            self.resting.remove(peer)

    def send(self, peer: Peer, kind: Kind, intended: int, now: int) -> None:
        """Send on a connection with nothing in flight (the closed hot loop has its own copy of these lines)."""
        peer.kind, peer.intended, peer.sent_at = kind, intended, now
        try:
            sent = peer.send(kind.request)
            if sent != kind.request_bytes:
                self.crew.cut_short(peer, sent)
        except BlockingIOError:
            self.crew.cut_short(peer, 0)
        except OSError as error:
            self.crew.broke(peer, error, now)

    def tick(self, now: int) -> None:
        self.crew.upkeep(now)
        if self.ticker:
            self.ticker.tick(now)

    def collect(self, until_ns: int) -> None:
        """Take the answers still in flight, and start nothing that is not owed."""
        self.pick = None
        self.alarm.set(FAR)
        while (self.in_flight or self.unsent) and (now := monotonic_ns()) < until_ns:
            if self.ticker and now >= self.ticker.tick_at:
                self.tick(now)
            for fd, _ in self.crew.poll(POLL_S, 64):
                self.hear(self.crew.table[fd], monotonic_ns())

    def hear(self, peer: Peer, now: int) -> None:
        """One event, the slow way."""
        if not peer.sent_at:
            peer.ready(now)
            return
        try:
            over = digest(self.crew, peer, peer.recv(peer.kind.room), now)
        except OSError as error:
            self.crew.broke(peer, error, now)
            return
        if over:
            peer.sent_at = 0
            self.admit(peer, now)
