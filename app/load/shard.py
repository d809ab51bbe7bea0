"""One shard, from its order to its outcome: connect, warm up, measure, drain, report.

    connecting ──> warmup ──> measure ──> drain ──> done

Connecting counts neither to the warm-up nor to the measured time.
"""

from __future__ import annotations

import gc
from time import monotonic_ns

from app.load import report
from app.load.alarm import Alarm
from app.load.constant_arrival_rate import ConstantArrivalRate
from app.load.constant_vus import ConstantVus
from app.load.crew import Crew
from app.load.executor import POLL_S, Executor
from app.load.meter import DONE, DRAIN, MEASURE, WARMUP, Meter
from app.load.mix import Kind, Mix, request_bytes
from app.load.order import Order
from app.load.outcome import Outcome
from app.load.peer import IdlePeer, Peer
from app.load.plan import Plan, Work
from app.load.tally import Tally

HOPELESS_FAILURES = 10  # connects refused in a row, at 20 a second, before the run begins with what it has
STOPPED_DRAIN_NS = 1_000_000_000  # who says stop does not want to wait for slow answers


class Shard:
    """Owns the parts and leads them through the phases. One thread."""

    def __init__(self, order: Order) -> None:
        self.plan = plan = order.plan
        self.host = f"[{order.host}]:{order.port}" if ":" in order.host else f"{order.host}:{order.port}"
        self.crew = Crew((order.host, order.port), plan.timeout_s)
        self.alarm = Alarm(self.crew.epoll)
        self.crew.watch(self.alarm.fd, self.alarm)
        self.executor = _executor(plan, self.crew, self.alarm)
        self.crew.executor = self.executor
        self.tally = Tally(self.crew, self.executor, Meter(order.meter_fd))
        self.executor.ticker = self.tally
        self.notes: list[str] = []

    def stop(self, *_: object) -> None:
        """Safe in a signal handler: the loops look at it within 50 ms."""
        self.executor.stopped = True

    def run(self) -> Outcome:
        gc.disable()  # the loops make no cycles, and a full collection over 10,000 peers stalls them for 7 ms
        self._connect()
        warm, measured = Mix(self.plan, self.host), Mix(self.plan, self.host)
        begin = report.Instant.take(self.tally)
        if self.plan.warmup_s:
            begin = self._load(WARMUP, warm, self.plan.warmup_s, begin.at_ns)
        for new, old in zip(measured.kinds, warm.kinds, strict=True):
            new.learn(old.length, old.prefix)
        end = self._load(MEASURE, measured, self.plan.duration_s, begin.at_ns)
        # An open schedule ends when it says; a closed one when the loop took its last answer, at most 1 ms later.
        exact = self.executor.is_open and not self.executor.stopped
        to_ns = begin.at_ns + int(self.plan.duration_s * 1e9) if exact else end.at_ns
        dropped = self._drain(to_ns)
        outcome = report.build(self.tally, measured, begin, end, dropped, self.notes)
        self.tally.phase = DONE
        self.tally.publish(monotonic_ns())
        return outcome

    def _load(self, phase: int, mix: Mix, length_s: float, from_ns: int) -> report.Instant:
        """One phase under load; answers the instant at which it ended."""
        self.tally.begin(phase, from_ns, mix.kinds)
        self.executor.run(mix, from_ns, from_ns + int(length_s * 1e9))
        return report.Instant.take(self.tally)

    # Connecting

    def _connect(self) -> None:
        plan, crew = self.plan, self.crew
        proof = Work("plaintext")
        kind = Kind(proof.label, proof.kind, request_bytes(proof, self.host), None, is_open=False)
        active = [Peer(crew, kind) for _ in range(plan.vus)]
        idle: list[Peer] = [IdlePeer(crew, kind) for _ in range(plan.idle_connections)]
        for crowd in (active, idle):
            crew.peers.extend(crowd)
            crew.vacant.extend(crowd)
            self._open_all()
        if crew.connected < plan.vus or crew.held < plan.idle_connections:
            self.notes.append(
                f"of {plan.vus} connections {crew.connected} and of {plan.idle_connections} idle ones {crew.held} "
                "were there when the load began; the rest is tried again 20 times a second"
            )

    def _open_all(self) -> None:
        """Until all are open and proved, or it is hopeless: refused ten times in a row, or nothing for a timeout."""
        crew = self.crew
        moved_at, moved = monotonic_ns(), -1
        while (crew.vacant or crew.opening) and not self.executor.stopped and crew.failures < HOPELESS_FAILURES:
            now = monotonic_ns()
            if crew.connected + crew.held != moved:
                moved_at, moved = now, crew.connected + crew.held
            if now - moved_at > crew.timeout_ns:
                return
            if now >= self.tally.tick_at:
                self.executor.tick(now)
            for fd, _ in crew.poll(POLL_S, 256):
                self.executor.hear(crew.table[fd], monotonic_ns())

    # The end

    def _drain(self, now: int) -> int:
        """Take what is in flight; the rest are timeouts. Answers how many of the schedule were never sent."""
        executor, crew = self.executor, self.crew
        self.tally.begin(DRAIN, now)
        patience = min(crew.timeout_ns, STOPPED_DRAIN_NS) if executor.stopped else crew.timeout_ns
        executor.collect(now + patience)
        crew.vacant.clear()
        if not executor.stopped:
            crew.abandon(monotonic_ns())
        self.tally.begin(DONE, monotonic_ns())
        return executor.unsent


def _executor(plan: Plan, crew: Crew, alarm: Alarm) -> Executor:
    if not plan.is_open:
        return ConstantVus(crew, alarm, plan.think_time_ms)
    assert plan.rate_per_s, "the order was checked"
    return ConstantArrivalRate(crew, alarm, plan.rate_per_s, plan.spacing)
