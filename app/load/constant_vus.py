"""The closed model: each connection sends, waits for the answer, thinks, and sends again.

    peer   send ──> wait ──> receive ──> think ──> send ...

A slow answer delays the next request of its own connection, so a closed load never offers more than the server
answers: it finds the ceiling, and it *cannot see coordinated omission*. Response time is service time here.
"""

from __future__ import annotations

from time import monotonic_ns

from app.load.alarm import FAR, Alarm
from app.load.crew import Crew
from app.load.executor import POLL_S, Executor
from app.load.mix import Mix
from app.load.peer import Peer
from app.load.reading import digest

BATCH = 256


class ConstantVus(Executor):
    """`constant-vus`: as many requests in flight as there are connections, less those that think."""

    def __init__(self, crew: Crew, alarm: Alarm, think_time_ms: float) -> None:
        super().__init__(crew, alarm)
        self.think_ns = int(think_time_ms * 1e6)

    def run(self, mix: Mix, from_ns: int, until_ns: int) -> None:
        self._start(mix, from_ns)
        crew, pick, think_ns, clock = self.crew, mix.pick, self.think_ns, monotonic_ns
        poll, table, ticker = crew.poll, crew.table, self.ticker
        assert ticker is not None
        while (now := clock()) < until_ns and not self.stopped:
            if now >= ticker.tick_at:
                self.tick(now)
            if think_ns:
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
                    if think_ns:
                        self._rest(peer, now)
                        continue
                    # One stamp ends a request and begins the next: a second one would cost 60 ns for 0.5 µs.
                    peer.kind = kind = pick()
                    peer.sent_at = now
                    if (sent := peer.send(kind.request)) != kind.request_bytes:
                        crew.cut_short(peer, sent)
                except OSError as error:
                    crew.broke(peer, error, now)

    def _start(self, mix: Mix, now: int) -> None:
        """Begin, or go on with the kinds of the next phase: what is in flight then still counts for its own."""
        first, self.pick = self.pick is None, mix.pick
        if not first:
            return
        if self.think_ns:
            for number, peer in enumerate(self.resting):  # spread, or all would think and send in one wave
                peer.due = now + number * self.think_ns // len(self.resting)
            return
        while self.resting:
            self.send(self.resting.popleft(), self.pick(), now, now)

    def _rest(self, peer: Peer, now: int) -> None:
        peer.sent_at, peer.due = 0, now + self.think_ns
        self.resting.append(peer)

    def _wake(self, now: int) -> None:
        """Send for all that have thought long enough; they rest in the order of their waking."""
        resting = self.resting
        while resting and resting[0].due <= now and self.pick:
            self.send(resting.popleft(), self.pick(), now, now)
        self.alarm.set(resting[0].due if resting else FAR)

    def admit(self, peer: Peer, now: int) -> None:
        if self.pick is None:
            super().admit(peer, now)
        else:
            self.send(peer, self.pick(), now, now)
