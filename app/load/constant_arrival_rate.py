"""The open model: requests are due at fixed instants, whether answers come or not.

    schedule ──due──> a free connection? ──yes──> send
                              │ no
                              v
                           backlog ──a connection gets free──> send, late, but not forgotten

Response time runs from the *intended* instant, service time from the send. While a server stalls, requests pile up in
the backlog and their response time grows: what a closed model leaves out (coordinated omission) is seen here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic_ns

from app.load.alarm import FAR, Alarm
from app.load.crew import Crew
from app.load.executor import Executor
from app.load.mix import Kind, Mix
from app.load.peer import Peer
from app.load.reading import digest
from app.load.schedule import intended_times

BATCH = 32  # answers between two looks for the tick; sends that are due are looked for after each answer
LATE_NS = 1_000_000


class ConstantArrivalRate(Executor):
    """`constant-arrival-rate` over a bounded number of connections, taken in turn so that all of them work."""

    is_open = True

    def __init__(self, crew: Crew, alarm: Alarm, rate_per_s: float, spacing: str) -> None:
        super().__init__(crew, alarm)
        self.rate_per_s, self.spacing = rate_per_s, spacing
        self.backlog: deque[tuple[int, Kind]] = deque()
        self._times: Iterator[int] = iter(())
        self._due = FAR
        self._phases = 0

    @property
    def unsent(self) -> int:
        return len(self.backlog)

    def run(self, mix: Mix, from_ns: int, until_ns: int) -> None:
        self._start(mix, from_ns, until_ns)
        crew, resting, backlog, clock = self.crew, self.resting, self.backlog, monotonic_ns
        poll, table, ticker = crew.poll, crew.table, self.ticker
        set_alarm = self.alarm.set
        assert ticker is not None
        while (now := clock()) < until_ns and not self.stopped:
            if now >= self._due:
                self._release(now)
            if now >= ticker.tick_at:
                self.tick(now)
            set_alarm(min(self._due, ticker.tick_at, until_ns))
            for fd, _ in poll(-1, BATCH):
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
                        kind.response.append((now - peer.intended) // 1000)
                    elif not digest(crew, peer, data, now):
                        continue
                except OSError as error:
                    crew.broke(peer, error, now)
                    continue
                if backlog:
                    intended, kind = backlog.popleft()
                    self.send(peer, kind, intended, now)
                else:
                    peer.sent_at = 0
                    resting.append(peer)
                if now >= self._due:
                    self._release(now)
        self._release(min(clock(), until_ns - 1))  # those due since the last look: none is lost between two phases

    def _start(self, mix: Mix, from_ns: int, until_ns: int) -> None:
        self._phases += 1
        self.pick = mix.pick
        self._times = intended_times(self.rate_per_s, self.spacing, from_ns, until_ns, seed=self._phases)
        self._due = next(self._times, FAR)

    def _release(self, now: int) -> None:
        """Send all that is due by now, or put it into the backlog."""
        assert self.pick is not None
        due = self._due
        while due <= now:
            self.intended += 1
            if self.resting:
                actual = monotonic_ns()
                self.send(self.resting.popleft(), self.pick(), due, actual)
                self.lateness_us.append((actual - due) // 1000)
                self.late += actual - due > LATE_NS
            else:
                self.waited += 1
                self.backlog.append((due, self.pick()))
            due = next(self._times, FAR)
        self._due = due

    def admit(self, peer: Peer, now: int) -> None:
        if self.backlog:
            intended, kind = self.backlog.popleft()
            self.send(peer, kind, intended, now)
        else:
            super().admit(peer, now)
