"""One shard, from its job to its outcome: connect, warm up, measure, drain.

    connecting ──> (start signal) ──> warmup ──> measure ──> drain ──> done

Connecting belongs neither to the warm-up nor to the measured window. One of several shards waits, when it is
connected, for the instant at which all of them start.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.connection_set import ConnectionSet
from app.load.connections.request_mix import RequestMix
from app.load.executors.closed_model import ClosedModel
from app.load.executors.dispatcher import Dispatcher, Executor
from app.load.executors.open_model import OpenModel
from app.load.executors.ramp import Ramp
from app.load.executors.timer import NEVER_NS, Timer
from app.load.protocol.meter import DONE, DRAIN, MEASURE, WARMUP, MeterWriter
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import RAMPING
from app.load.protocol.shard_job import ShardJob
from app.load.recording.outcome_builder import MeasuredWindow, build_outcome
from app.load.recording.recorder import Recorder
from app.load.recording.snapshot import Snapshot

STOPPED_DRAIN_NS = 1_000_000_000  # the longest drain after a stop


class TooLate(Exception):
    """The start instant has passed. The message is a clause."""


class Shard:
    """Creates the parts of a shard and runs its phases.

    One thread; only `stop` may be called from a signal handler.

    Raises OSError if a descriptor cannot be created, InvalidMeter if the job's meter is none. `run` raises
    TooLate.
    """

    def __init__(self, job: ShardJob) -> None:
        self.job, self.plan = job, job.plan
        self.host = f"[{job.host}]:{job.port}" if ":" in job.host else f"{job.host}:{job.port}"
        self.pool = ConnectionPool((job.host, job.port), self.plan.timeout_s)
        self.timer = Timer(self.pool.epoll)
        self.pool.set_handler(self.timer.fd, self.timer)
        self.dispatcher = Dispatcher(self.pool, self.timer, self.plan.is_open)
        self.pool.owner = self.dispatcher
        self.executor = _executor(job, self.dispatcher)
        self.recorder = Recorder(self.pool, self.dispatcher, MeterWriter(job.meter_fd))
        self.dispatcher.ticker = self.recorder
        self.start_ns: int | None = None

    def stop(self, *_: object) -> None:
        """Stop the load within 50 ms. Safe to call from a signal handler."""
        self.dispatcher.stopped = True

    def start_at(self, start_ns: int) -> None:
        """Set the instant (CLOCK_MONOTONIC) at which this shard, one of several, starts the load.

        Raises TooLate if it has passed and the job is fenced: the shard would offer another load than the
        others, and nobody may wait for it any more.
        """
        late_ns = monotonic_ns() - start_ns
        if self.job.fenced and late_ns > 0:
            raise TooLate(f"the start instant arrived {late_ns / 1e6:,.0f} ms too late")
        self.start_ns = start_ns

    def run(self) -> Outcome:
        """Block until the load is over. Returns the outcome.

        Switches the garbage collector off and leaves it off.
        """
        # The loops make no reference cycles, and a full collection over 10,000 connections takes 7 ms.
        gc.disable()
        connection_set = ConnectionSet(self.job, self.pool, self.host)
        connection_set.open_all(self.dispatcher)
        from_ns = self._wait_for_start()
        level = self.plan.rate_per_s if self.plan.is_open else self.plan.vus
        assert level, "checked by ShardJob.parse"
        warm, measured = RequestMix(self.plan, self.host), RequestMix(self.plan, self.host)
        begin = Snapshot.take(self.recorder)
        if self.plan.warmup_s:
            begin = self._run_phase(WARMUP, warm, Ramp(level), self.plan.warmup_s, from_ns)
            from_ns = self._phase_end_ns(from_ns, self.plan.warmup_s, begin)
        for new, old in zip(measured.kinds, warm.kinds, strict=True):
            new.expect_response(old.expected_bytes, old.expected_prefix)
            if self.plan.trace:
                new.log_times()
        ramp = Ramp(level, self.plan.stages if self.plan.executor in RAMPING else ())
        end = begin
        if not self.dispatcher.stopped:  # else it was stopped in the warm-up, and nothing is measured
            end = self._run_phase(MEASURE, measured, ramp, self.plan.duration_s, from_ns)
        time_wait = _time_wait_sockets() if self.plan.churn else None
        dropped = self._drain(self._phase_end_ns(from_ns, self.plan.duration_s, end))
        window = MeasuredWindow(measured.kinds, begin, end, dropped, time_wait)
        outcome = build_outcome(self.recorder, window, connection_set)
        self.recorder.phase = DONE
        self.recorder.publish(monotonic_ns())
        return outcome

    def _wait_for_start(self) -> int:
        """Return the instant at which the load starts. Blocks until then if other shards start with it."""
        now = self.recorder.connected_ns = monotonic_ns()
        self.recorder.publish(now)
        if not self.job.starts_with_others:
            return now
        while not self.dispatcher.stopped and (self.start_ns is None or now < self.start_ns):
            self.timer.set(self.start_ns or NEVER_NS)
            self.dispatcher.run_once(now)
            now = monotonic_ns()
        return self.start_ns or now

    def _run_phase(self, phase: int, mix: RequestMix, ramp: Ramp, length_s: float, from_ns: int) -> Snapshot:
        """Run one phase under load. Returns a snapshot of its end."""
        self.recorder.begin_phase(phase, from_ns, mix.kinds)
        self.executor.run(mix, ramp, from_ns, from_ns + int(length_s * 1e9))
        return Snapshot.take(self.recorder)

    def _phase_end_ns(self, from_ns: int, length_s: float, end: Snapshot) -> int:
        """Return the end of a phase.

        An open phase ends exactly when its schedule does, a closed one when its loop has ended, a few ms
        later.
        """
        exact = self.dispatcher.is_open and not self.dispatcher.stopped
        return from_ns + int(length_s * 1e9) if exact else end.at_ns

    def _drain(self, now: int) -> int:
        """Block until the requests in flight have ended; the rest are counted as timeouts.

        Returns how many requests of the measured schedule were never sent.
        """
        dispatcher, pool = self.dispatcher, self.pool
        self.recorder.begin_phase(DRAIN, now)
        limit_ns = min(pool.timeout_ns, STOPPED_DRAIN_NS) if dispatcher.stopped else pool.timeout_ns
        dispatcher.drain(monotonic_ns() + limit_ns)
        pool.to_open.clear()
        if not dispatcher.stopped:
            pool.abandon_in_flight(monotonic_ns())
        self.recorder.begin_phase(DONE, monotonic_ns())
        # The backlog may still hold requests of the warm-up.
        return sum(due >= self.recorder.measured_from_ns for due, _, _ in dispatcher.backlog)


def _executor(job: ShardJob, dispatcher: Dispatcher) -> Executor:
    plan = job.plan
    if plan.is_open:
        return OpenModel(dispatcher, plan.spacing, job.share)
    return ClosedModel(dispatcher, plan.think_time_ms, job.share)


def _time_wait_sockets() -> int | None:
    """Return the sockets in TIME_WAIT of the network namespace: the kernel has no count per process."""
    with suppress(OSError):
        for line in Path("/proc/net/sockstat").read_text().splitlines():
            name, *words = line.split()
            if name == "TCP:" and "tw" in words:
                return int(words[words.index("tw") + 1])
    return None
