"""The closed model: each connection sends, waits for the answer, thinks, and sends again.

    peer   send ──> wait ──> receive ──> think ──> send ...

A slow answer delays the next request of its own connection, so a closed load never offers more than the server
answers: it finds the ceiling, and it *cannot see coordinated omission*. Response time is service time here.
"""

from __future__ import annotations

from time import monotonic_ns

from app.load.connections.connection import Peer
from app.load.connections.request_mix import Mix
from app.load.connections.response_reader import digest
from app.load.executors.alarm import FAR
from app.load.executors.dispatcher import POLL_S, Floor
from app.load.executors.ramp import Ramp
from app.load.protocol.shard_share import Part

BATCH = 256


class ClosedModel:
    """`constant-vus` and `ramping-vus`: as many requests in flight as there are connections, less those that think."""

    def __init__(self, floor: Floor, think_time_ms: float, part: Part) -> None:
        self.floor = floor
        self.think_ns = int(think_time_ms * 1e6)
        self.part = part
        self.surplus = 0  # connections to be closed as they become free: the ramp goes down
        floor.admit = self._admit

    def run(self, mix: Mix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        self._start(mix, from_ns)
        floor, crew, pick, clock = self.floor, self.floor.crew, mix.pick, monotonic_ns
        poll, table, ticker = crew.poll, crew.table, floor.ticker
        pauses = bool(self.think_ns or ramp.stages)
        while (now := clock()) < until_ns and not floor.stopped:
            if now >= ticker.tick_at:
                floor.tick(now)
                if ramp.stages:
                    self._follow(ramp.at((now - from_ns) / 1e9), now)
            if self.think_ns:
                self._wake(now)
            for fd, _ in poll(POLL_S, BATCH):
                peer = table[fd]
                if not peer.sent_at:
                    peer.ready(clock())
                    continue
                try:
                    kind = peer.kind
                    data = peer.recv(kind.room)
                    now = clock()
                    if len(data) == kind.length and data.startswith(kind.prefix) and not peer.got:
                        kind.note((now - peer.sent_at) // 1000)
                    elif not digest(crew, peer, data, now):
                        continue
                    if pauses:
                        peer.sent_at = 0
                        self._admit(peer, now)
                        continue
                    # One stamp ends a request and begins the next: a second one would cost 60 ns for 0.5 µs.
                    peer.kind = kind = pick()
                    peer.sent_at = now
                    if (sent := peer.send(kind.request)) != kind.request_bytes:
                        peer.cut_short(kind.request, sent)
                except OSError as error:
                    crew.broke(peer, error, now)

    def _start(self, mix: Mix, now: int) -> None:
        """Begin, or go on with the kinds of the next phase: what is in flight then still counts for its own."""
        floor, first = self.floor, self.floor.pick is None
        floor.pick = mix.pick
        if first and self.think_ns:
            for number, peer in enumerate(floor.resting):  # spread, or all would think and send in one wave
                peer.due = now + number * self.think_ns // len(floor.resting)
        elif first:
            for _ in range(len(floor.resting)):
                floor.resting.popleft().ask(mix.pick(), now, now)

    def _admit(self, peer: Peer, now: int) -> None:
        """A connection is free: it thinks, sends, or is one too many."""
        floor = self.floor
        if self.surplus:
            self.surplus -= 1
            floor.crew.retire(peer)
        elif floor.pick is None:
            floor.rest(peer, now)
        elif self.think_ns:
            peer.due = now + self.think_ns
            floor.rest(peer, now)
        else:
            peer.ask(floor.pick(), now, now)

    def _wake(self, now: int) -> None:
        """Send for all that have thought long enough; they rest in the order of their waking."""
        floor, resting = self.floor, self.floor.resting
        while resting and resting[0].due <= now and floor.pick:
            resting.popleft().ask(floor.pick(), now, now)
        floor.alarm.set(resting[0].due if resting else FAR)

    def _follow(self, level: float, now: int) -> None:
        """Open connections, or close them as they become free, until there are as many as the ramp says."""
        crew, resting = self.floor.crew, self.floor.resting
        missing = self.part.share(int(level)) - (crew.active - self.surplus)
        stay = min(missing, self.surplus)  # below 0: so many more are to go
        self.surplus -= stay
        crew.call_up(max(0, missing - stay), now)
        while self.surplus and resting:
            self.surplus -= 1
            crew.retire(resting.pop())
