"""The floor: where connections rest, what waits for one, and every event that the hot loops do not take themselves.

Both models of load stand on it. What they do with a connection that has become free is their own rule: `admit`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

from app.load.connections.connection import Peer
from app.load.connections.pool import Crew
from app.load.connections.request_mix import Kind, Mix
from app.load.connections.response_reader import digest
from app.load.executors.alarm import FAR, Alarm
from app.load.executors.ramp import Ramp

POLL_S = 0.05  # how long a loop may sleep: ticks, timeouts and a stop are noticed that late at most


class Ticker(Protocol):
    """What a loop needs of the tally."""

    tick_at: int

    def tick(self, now: int) -> None: ...


class Executor(Protocol):
    """When to send: a closed model, or an open one."""

    def run(self, mix: Mix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        """Offer the load of one phase; it ends early where the floor is `stopped`."""


class _Still:
    """No tally yet."""

    tick_at = FAR

    def tick(self, now: int) -> None: ...


class Floor:
    """The connections of a shard as its executor sees them, and the counts of what it meant to send."""

    def __init__(self, crew: Crew, alarm: Alarm, is_open: bool) -> None:
        self.crew = crew
        self.alarm = alarm
        self.is_open = is_open
        self.ticker: Ticker = _Still()
        self.stopped = False  # set by a signal
        self.resting: deque[Peer] = deque()  # nothing in flight
        # Of the open model, where no connection was free: when it was due, when it was put here, and what it is.
        self.backlog: deque[tuple[int, int, Kind]] = deque()
        self.pick: Callable[[], Kind] | None = None  # None: the load has not begun, or is over
        self.intended = self.late = self.waited = 0
        self.lateness_us: list[int] = []
        self.admit: Callable[[Peer, int], None] = (
            self.rest
        )  # the executor's rule for a connection that is free

    @property
    def in_flight(self) -> int:
        """Requests asked and not answered. The hot loops count nothing: who is connected and does not rest, waits."""
        return self.crew.owed if self.crew.counts_itself else self.crew.connected - len(self.resting)

    def rest(self, peer: Peer, _now: int) -> None:
        self.resting.append(peer)

    def dismiss(self, peer: Peer) -> None:
        """A resting connection is gone. Linear, and rare."""
        if peer in self.resting:
            self.resting.remove(peer)

    def tick(self, now: int) -> None:
        self.crew.upkeep(now)
        self.ticker.tick(now)

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

    def listen(self, now: int) -> None:
        """One round outside of the load: upkeep, and what there is to hear."""
        if now >= self.ticker.tick_at:
            self.tick(now)
        for fd, _ in self.crew.poll(POLL_S, 256):
            self.hear(self.crew.table[fd], monotonic_ns())

    def collect(self, until_ns: int) -> None:
        """Take the answers still in flight, and start nothing that is not owed."""
        self.pick = None
        self.alarm.set(FAR)
        self.crew.hasten(monotonic_ns())
        while (self.in_flight or self.backlog or self.crew.beside) and (now := monotonic_ns()) < until_ns:
            self.listen(now)
