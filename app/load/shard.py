"""One shard, from its order to its outcome: connect, warm up, measure, drain, report.

    connecting ──> (told to begin) ──> warmup ──> measure ──> drain ──> done

Connecting counts neither to the warm-up nor to the measured time. One of several shards waits, when it is connected,
for the instant at which all begin.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

from app.load.connections.connection_set import Crowd
from app.load.connections.pool import Crew
from app.load.connections.request_mix import Mix
from app.load.executors.alarm import FAR, Alarm
from app.load.executors.closed_model import ClosedModel
from app.load.executors.dispatcher import Executor, Floor
from app.load.executors.open_model import OpenModel
from app.load.executors.ramp import Ramp
from app.load.protocol.meter import DONE, DRAIN, MEASURE, WARMUP, Meter
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import RAMPING
from app.load.protocol.shard_job import Order
from app.load.recording import report
from app.load.recording.tally import Tally

STOPPED_DRAIN_NS = 1_000_000_000  # who says stop does not want to wait for slow answers


class Shard:
    """Owns the parts and leads them through the phases. One thread."""

    def __init__(self, order: Order) -> None:
        self.order, self.plan = order, order.plan
        self.host = f"[{order.host}]:{order.port}" if ":" in order.host else f"{order.host}:{order.port}"
        self.crew = Crew((order.host, order.port), self.plan.timeout_s)
        self.alarm = Alarm(self.crew.epoll)
        self.crew.watch(self.alarm.fd, self.alarm)
        self.floor = Floor(self.crew, self.alarm, self.plan.is_open)
        self.crew.host = self.floor
        self.executor = _executor(order, self.floor)
        self.tally = Tally(self.crew, self.floor, Meter(order.meter_fd))
        self.floor.ticker = self.tally
        self.begin_ns: int | None = None

    def stop(self, *_: object) -> None:
        """Safe in a signal handler: the loops look at it within 50 ms."""
        self.floor.stopped = True

    def begin(self, at_ns: int) -> None:
        """Told when to begin."""
        self.begin_ns = at_ns

    def run(self) -> Outcome:
        gc.disable()  # the loops make no cycles, and a full collection over 10,000 peers stalls them for 7 ms
        crowd = Crowd(self.order, self.crew, self.host)
        crowd.gather(self.floor)
        from_ns = self._starting_shot()
        level = self.plan.rate_per_s if self.plan.is_open else self.plan.vus
        assert level, "the order was checked"
        warm, measured = Mix(self.plan, self.host), Mix(self.plan, self.host)
        begin = report.Instant.take(self.tally)
        if self.plan.warmup_s:
            begin = self._load(WARMUP, warm, Ramp(level), self.plan.warmup_s, from_ns)
            from_ns = self._edge(from_ns, self.plan.warmup_s, begin)
        for new, old in zip(measured.kinds, warm.kinds, strict=True):
            new.learn(old.length, old.prefix)
        ramp = Ramp(level, self.plan.stages if self.plan.executor in RAMPING else ())
        end = begin
        if not self.floor.stopped:  # else it was in the warm-up, and nothing is measured
            end = self._load(MEASURE, measured, ramp, self.plan.duration_s, from_ns)
        time_wait = _time_wait() if self.plan.churn else None
        dropped = self._drain(self._edge(from_ns, self.plan.duration_s, end))
        outcome = report.build(self.tally, measured, begin, end, dropped, time_wait, crowd)
        self.tally.phase = DONE
        self.tally.publish(monotonic_ns())
        return outcome

    def _starting_shot(self) -> int:
        """The instant at which the load begins; waits for it, if others begin with us."""
        now = self.tally.connected_ns = monotonic_ns()
        self.tally.publish(now)
        if self.order.shards == 1:
            return now
        while not self.floor.stopped and (self.begin_ns is None or now < self.begin_ns):
            self.alarm.set(self.begin_ns or FAR)
            self.floor.listen(now)
            now = monotonic_ns()
        return self.begin_ns or now

    def _load(self, phase: int, mix: Mix, ramp: Ramp, length_s: float, from_ns: int) -> report.Instant:
        """One phase under load; answers the instant at which its loop ended."""
        self.tally.begin(phase, from_ns, mix.kinds)
        self.executor.run(mix, ramp, from_ns, from_ns + int(length_s * 1e9))
        return report.Instant.take(self.tally)

    def _edge(self, from_ns: int, length_s: float, end: report.Instant) -> int:
        """An open schedule ends when it says; a closed one when the loop took its last answer, a few ms later."""
        exact = self.floor.is_open and not self.floor.stopped
        return from_ns + int(length_s * 1e9) if exact else end.at_ns

    def _drain(self, now: int) -> int:
        """Take what is in flight; the rest are timeouts. Answers how many of the measured schedule were never sent."""
        floor, crew = self.floor, self.crew
        self.tally.begin(DRAIN, now)
        patience = min(crew.timeout_ns, STOPPED_DRAIN_NS) if floor.stopped else crew.timeout_ns
        floor.collect(monotonic_ns() + patience)
        crew.vacant.clear()
        if not floor.stopped:
            crew.abandon(monotonic_ns())
        self.tally.begin(DONE, monotonic_ns())
        return sum(
            due >= self.tally.measured_from_ns for due, _, _ in floor.backlog
        )  # the warm-up's are there as well


def _executor(order: Order, floor: Floor) -> Executor:
    plan = order.plan
    if plan.is_open:
        return OpenModel(floor, plan.spacing, order.part)
    return ClosedModel(floor, plan.think_time_ms, order.part)


def _time_wait() -> int | None:
    """Connections in TIME_WAIT, of the whole network namespace: the kernel counts no other way."""
    with suppress(OSError):
        for line in Path("/proc/net/sockstat").read_text().splitlines():
            name, *words = line.split()
            if name == "TCP:" and "tw" in words:
                return int(words[words.index("tw") + 1])
    return None
