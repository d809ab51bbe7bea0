"""A shard on another host, as the lab sees it.

    host    task runs ─▶ messages with its meter ─▶ … ─▶ outcome
    lab                  read()                          outcome(), all instants by the clock of the lab

Its phases follow from the start instant, not from messages, which arrive up to 0.1 s late: the observation
of the engine has to begin and end with the measured time.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.cluster import LOST_AFTER_S, tasks
from app.cluster.dask import Future, FutureCancelledError, KilledWorker
from app.cluster.link import Link
from app.hosts.clock import ClockOffset
from app.hosts.port import Slot
from app.load.protocol.meter import COUNTERS, DONE, DRAIN, MEASURE, WARMUP, MeterReading
from app.load.protocol.outcome import Outcome
from app.load.protocol.request_times import RequestTimes
from app.schemas.host import HostRole
from app.timestamps import rfc3339

CHECK_S = 0.25  # between two looks whether the host is lost
START_DELAY_NS = 250_000_000
START_DELAY_ROUND_TRIPS = 4
RESOURCE_STEPS = 1_000_000  # shares are rounded down, so that they never add up to more than the resource


@dataclass(frozen=True, slots=True)
class Member:
    """A host that has joined: its name, the address of its worker, and its clock."""

    name: str
    worker: str
    clock: ClockOffset


class RemoteShard:
    """A shard on a host of the cluster. Satisfies `Shard`."""

    cpu: int | None = None

    def __init__(self, link: Link, member: Member, job: Mapping[str, Any], group: str | None) -> None:
        self.group = group
        self.host: str | None = member.name
        self._link = link
        self._member = member
        self._plan: Mapping[str, Any] = job["plan"]
        self._id = f"shard-{secrets.token_hex(8)}"
        self._job = job
        self._start_ns = 0  # by the clock of this machine
        self._reading = MeterReading()
        self._began_ns = self._heard_ns = time.monotonic_ns()
        self._result: Mapping[str, Any] = {}
        self._failure = ""
        self._future: Future | None = None
        self._follower: asyncio.Task[None] | None = None
        self.exited: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @classmethod
    def submit(
        cls, link: Link, member: Member, job: Mapping[str, Any], group: str | None, slot: Slot
    ) -> RemoteShard:
        """Start a shard on a host: there and nowhere else, and once."""
        shard = cls(link, member, {**job, "waits": True, "fenced": True, "lifeline_fd": None}, group)
        shard._begin(slot.share)
        return shard

    def _begin(self, share: float) -> None:
        self._link.subscribe(self._id, self._on_message)
        title = f"load group {self.group}" if self.group else self._title()
        resources = {HostRole.LOAD.value: int(share * RESOURCE_STEPS) / RESOURCE_STEPS}
        arguments = (self._id, self._job, self._link.topic, title)
        self._future = self._link.submit(
            self._id, self._member.worker, tasks.run_shard, *arguments, resources=resources
        )
        self._follower = asyncio.create_task(self._follow(self._future))

    def _title(self) -> str:
        return f"load, process {self._job.get('shard', 0) + 1} of {self._job.get('shards', 1)}"

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
        return self._failure

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
            found = Outcome.from_json(json.loads(self._result.get("outcome", "")))
        except ValueError:
            return None
        return self._by_our_clock(found)

    def start_at(self, start_ns: int) -> None:
        """Send the start instant, by the host's clock. If it arrives too late, the shard refuses to start."""
        self._start_ns = start_ns
        host_ns = self._member.clock.to_host(start_ns)
        self._link.call_soon(self._member.worker, tasks.start_shard, self._id, host_ns)

    def stop(self) -> None:
        """End the load early; the outcome has what was measured."""
        self._link.call_soon(self._member.worker, tasks.stop_shard, self._id)

    def kill(self) -> None:
        """End it at once, without an outcome."""
        self._link.call_soon(self._member.worker, tasks.kill_shard, self._id)
        self._end("was killed.")

    async def close(self, grace_s: float) -> None:
        """Return when it has ended. It is stopped, and released after `grace_s` seconds.

        The host ends a shard that is released.
        """
        if not self.exited.done():
            self.stop()
            await asyncio.wait([self.exited], timeout=grace_s)
        self._end("was stopped.")
        if self._follower:
            self._follower.cancel()
        self._link.unsubscribe(self._id)
        if self._future:
            self._future.release()

    async def _follow(self, future: Future) -> None:
        """Wait for the result, or for the loss of the host."""
        result = asyncio.ensure_future(future.result())
        try:
            while not self.exited.done():
                await asyncio.wait([result], timeout=CHECK_S)
                if result.done():
                    self._keep(result)
                elif not self._link.is_open:
                    self._end(f"on {self._member.name} was lost: the scheduler has ended.")
                elif (silent_s := (time.monotonic_ns() - self._heard_ns) / 1e9) > LOST_AFTER_S:
                    self._end(f"on {self._member.name} was lost: no message for {silent_s:.0f} s.")
        finally:
            result.cancel()

    def _keep(self, result: asyncio.Future[Any]) -> None:
        error = None if result.cancelled() else result.exception()
        if result.cancelled() or isinstance(error, FutureCancelledError):
            self._end(f"on {self._member.name} was lost: the connection to the scheduler has ended.")
        elif error is not None:
            lost = isinstance(error, KilledWorker)
            reason = "was lost: the host has left the cluster." if lost else f"failed: {error}"
            self._end(f"on {self._member.name} {reason}")
        else:
            self._result = result.result()
            self._end(f"on {self._member.name} {self._result['failure']}")

    def _end(self, failure: str) -> None:
        if not self.exited.done():
            self._failure = failure
            self.exited.set_result(None)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        self._heard_ns = time.monotonic_ns()
        *counters, service, response = message["reading"]
        values = dict(zip(COUNTERS, counters, strict=True))
        for name in ("connected_ns", "started_ns", "measured_from_ns", "measured_to_ns", "at_ns"):
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


def _shifted(times: str, to_lab: Callable[[int], int]) -> str:
    """Return the times of single requests, which only a trace has, by the clock of this machine."""
    if not times:
        return times
    shifted = RequestTimes.decode(times)
    for index, answered_ns in enumerate(shifted.answered_ns):
        shifted.answered_ns[index] = to_lab(answered_ns)
    return shifted.encode()
