"""A shard on another host, as the lab sees it.

    host    task runs ─▶ messages with its meter ─▶ … ─▶ outcome
    lab                  read()                          outcome(), all instants by the clock of the lab

Its phases follow from the start instant, not from messages, which arrive up to 0.1 s late: the observation
of the engine has to begin and end with the measured time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.cluster import WHOLE_HOST, tasks
from app.cluster.link import Link
from app.cluster.remote_task import Member, RemoteTask
from app.hosts.port import Slot
from app.load.protocol.meter import COUNTERS, DONE, DRAIN, MEASURE, WARMUP, MeterReading
from app.load.protocol.outcome import Outcome
from app.load.protocol.request_times import RequestTimes
from app.timestamps import rfc3339

START_DELAY_NS = 500_000_000
START_DELAY_ROUND_TRIPS = 4
STOP_AGAIN_NS = 1_000_000_000
RESOURCE_STEPS = 1_000_000  # shares are rounded down, so that they never add up to more than the resource
INSTANTS = ("connected_ns", "started_ns", "measured_from_ns", "measured_to_ns", "at_ns")


class RemoteShard:
    """A shard on a host of the cluster. Satisfies `Shard`."""

    cpu: int | None = None

    def __init__(self, task: RemoteTask, member: Member, plan: Mapping[str, Any], group: str | None) -> None:
        self.group = group
        self.host: str | None = member.name
        self.exited: asyncio.Future[Any] = task.ended
        self._task = task
        self._member = member
        self._plan = plan
        self._stopped_ns = 0
        self._start_ns = 0  # by the clock of this machine
        self._reading = MeterReading()
        self._began_ns = time.monotonic_ns()

    @classmethod
    def submit(
        cls, link: Link, member: Member, job: Mapping[str, Any], group: str | None, slot: Slot
    ) -> RemoteShard:
        """Start a shard on a host: there and nowhere else, and once."""
        task = RemoteTask(link, member, "shard")
        shard = cls(task, member, job["plan"], group)
        fenced = {**job, "waits": True, "fenced": True}
        resources = {WHOLE_HOST: int(slot.share * RESOURCE_STEPS) / RESOURCE_STEPS}
        task.submit(
            tasks.run_shard, fenced, _title(job, group), resources=resources, on_message=shard.on_message
        )
        return shard

    @property
    def start_delay_ns(self) -> int:
        """The start instant must arrive before it is reached, through the scheduler."""
        return START_DELAY_NS + START_DELAY_ROUND_TRIPS * self._member.clock.rtt_ns

    @property
    def silent_s(self) -> float:
        """How long it has not updated its meter, in seconds; 0 if it has ended."""
        if self.exited.done():
            return 0.0
        return (time.monotonic_ns() - max(self._reading.at_ns, self._began_ns)) / 1e9

    @property
    def failure(self) -> str:
        """How it ended without an outcome."""
        return self._task.failure or f"on {self._member.name} {self._task.result['failure']}"

    def read(self) -> MeterReading:
        """Return the latest meter, with the phase that the shard must be in by now."""
        reading, now_ns = self._reading, time.monotonic_ns()
        if self.exited.done():
            return replace(reading, phase=DONE)
        if not self._start_ns or now_ns < self._start_ns:
            return reading
        measured_ns = self._start_ns + int(self._plan["warmup_s"] * 1e9)
        ends_ns = measured_ns + int(self._plan["duration_s"] * 1e9)
        phase, from_ns = WARMUP, self._start_ns
        if now_ns >= ends_ns:
            phase, from_ns = DRAIN, ends_ns
        elif now_ns >= measured_ns:
            phase, from_ns = MEASURE, measured_ns
        if reading.phase > phase:  # it was stopped early
            return reading
        return replace(
            reading,
            phase=phase,
            started_ns=self._start_ns,
            measured_from_ns=measured_ns if phase >= MEASURE else 0,
            measured_to_ns=ends_ns if phase >= DRAIN else 0,
            at_ns=max(reading.at_ns, from_ns),
        )

    def outcome(self) -> Outcome | None:
        """Return the outcome of a shard that has exited; None: there is none. Thread-safe."""
        try:
            found = Outcome.from_json(json.loads((self._task.result or {}).get("outcome", "")))
        except ValueError:
            return None
        return self._by_our_clock(found)

    def start_at(self, start_ns: int) -> None:
        """Send the start instant, by the host's clock. If it arrives too late, the shard refuses to start."""
        self._start_ns = start_ns
        host_ns = self._member.clock.to_host(start_ns)
        self._task.call(tasks.start_shard, host_ns, on_failure=self._not_started)

    def _not_started(self, reason: str) -> None:
        self._task.end(f"on {self._member.name} could not be started: {reason}")

    def stop(self) -> None:
        """End the load early; the outcome has what was measured. A shard that has not started is dropped."""
        if not self._task.has_started:
            self._task.close()
        elif time.monotonic_ns() - self._stopped_ns > STOP_AGAIN_NS:  # it may be called 50 times per second
            self._stopped_ns = time.monotonic_ns()
            self._task.call(tasks.stop_shard)

    def kill(self) -> None:
        """End it at once, without an outcome."""
        self._task.call(tasks.kill_shard)
        self._task.end("was killed.")

    async def close(self, grace_s: float) -> None:
        """Return when it has ended. It is stopped, and released after `grace_s` seconds.

        The host ends a shard that is released.
        """
        if not self.exited.done():
            self.stop()
            await asyncio.wait([self.exited], timeout=grace_s)
        self._task.close()

    def on_message(self, message: Mapping[str, Any]) -> None:
        """Keep the meter of a message, by the clock of this machine."""
        *counters, service, response = message["reading"]
        values = dict(zip(COUNTERS, counters, strict=True))
        for name in INSTANTS:
            values[name] = self._member.clock.to_lab(values[name])
        self._reading = MeterReading(**values, service=tuple(service), response=tuple(response))

    def _by_our_clock(self, found: Outcome) -> Outcome:
        """Return the outcome with its instants by the clocks of this machine."""
        to_lab = self._member.clock.to_lab
        from_ns = to_lab(found.measured_from_ns)
        started = datetime.now(UTC) - timedelta(microseconds=(time.monotonic_ns() - from_ns) / 1e3)
        kinds = tuple(replace(kind, times=_shifted(kind.times, to_lab)) for kind in found.kinds)
        return replace(
            found,
            measured_from_ns=from_ns,
            measured_to_ns=to_lab(found.measured_to_ns),
            started_at=rfc3339(started),
            kinds=kinds,
        )


def _title(job: Mapping[str, Any], group: str | None) -> str:
    if group:
        return f"load group {group}"
    return f"load, process {job.get('shard', 0) + 1} of {job.get('shards', 1)}"


def _shifted(times: str, to_lab: Callable[[int], int]) -> str:
    """Return the times of single requests, which only a trace has, by the clock of this machine."""
    if not times:
        return times
    shifted = RequestTimes.decode(times)
    for index, answered_ns in enumerate(shifted.answered_ns):
        shifted.answered_ns[index] = to_lab(answered_ns)
    return shifted.encode()
