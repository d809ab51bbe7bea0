"""The open model: requests are sent when the schedule says, whether answers come or not.

    schedule ──due──> a free connection? ──yes──> send
                              │ no
                              v
                           backlog ──a connection gets free──> send, late, but not forgotten

Response time runs from the *intended* instant, service time from the send. While a server stalls, requests pile up in
the backlog and their response time grows: what a closed model leaves out (coordinated omission) is seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns

from app.load.connections.connection import Peer
from app.load.connections.request_mix import Mix
from app.load.connections.response_reader import digest
from app.load.executors.alarm import FAR
from app.load.executors.dispatcher import Floor
from app.load.executors.ramp import Ramp
from app.load.executors.schedule import intended_times
from app.load.protocol.shard_share import Part

BATCH = 32  # answers between two looks for the tick; sends that are due are looked for after each answer
LATE_NS = 1_000_000


class OpenModel:
    """`constant-arrival-rate` and `ramping-arrival-rate`, over a bounded number of connections that take turns."""

    def __init__(self, floor: Floor, spacing: str, part: Part) -> None:
        self.floor = floor
        self.spacing = spacing
        self.part = part
        self._times: Iterator[int] = iter(())
        self._due = FAR
        self._phases = 0
        floor.admit = self._admit

    def run(self, mix: Mix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        self._start(mix, ramp, from_ns, until_ns)
        floor, crew, clock = self.floor, self.floor.crew, monotonic_ns
        resting, backlog = floor.resting, floor.backlog
        poll, table, ticker, set_alarm = crew.poll, crew.table, floor.ticker, floor.alarm.set
        while (now := clock()) < until_ns and not floor.stopped:
            if now >= self._due:
                self._release(now)
            if now >= ticker.tick_at:
                floor.tick(now)
            set_alarm(min(self._due, ticker.tick_at, until_ns))
            for fd, _ in poll(-1, BATCH):
                peer = table[fd]
                if not peer.sent_at:
                    peer.ready(now := clock())
                    if now >= self._due:
                        self._release(now)
                    continue
                try:
                    kind = peer.kind
                    data = peer.recv(kind.room)
                    now = clock()
                    if len(data) == kind.length and data.startswith(kind.prefix) and not peer.got:
                        kind.note((now - peer.sent_at) // 1000)
                        kind.response.append((now - peer.intended) // 1000)
                        kind.corrected.append((now - peer.handled) // 1000)
                    elif not digest(crew, peer, data, now):
                        continue
                except OSError as error:
                    crew.broke(peer, error, now)
                    continue
                peer.sent_at = 0
                if backlog:
                    intended, queued, kind = backlog.popleft()
                    peer.ask(kind, intended, now, queued)
                else:
                    resting.append(peer)
                if now >= self._due:
                    self._release(now)
        self._release(
            min(clock(), until_ns - 1)
        )  # those due since the last look: none is lost between two phases

    def _start(self, mix: Mix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        self._phases += 1
        self.floor.pick = mix.pick
        self._times = intended_times(ramp, self.spacing, from_ns, until_ns, self.part, self._phases)
        self._due = next(self._times, FAR)

    def _release(self, now: int) -> None:
        """Send all that is due by now, or put it into the backlog."""
        floor, due = self.floor, self._due
        assert floor.pick is not None
        while due <= now:
            floor.intended += 1
            actual = monotonic_ns()
            floor.lateness_us.append((actual - due) // 1000)
            floor.late += actual - due > LATE_NS
            if floor.resting:
                floor.resting.popleft().ask(floor.pick(), due, actual)
            else:
                floor.waited += 1
                floor.backlog.append((due, actual, floor.pick()))
            due = next(self._times, FAR)
        self._due = due

    def _admit(self, peer: Peer, now: int) -> None:
        """A connection is free: whoever has waited longest gets it."""
        floor = self.floor
        if floor.backlog:
            intended, queued, kind = floor.backlog.popleft()
            peer.ask(kind, intended, now, queued)
        else:
            floor.rest(peer, now)
