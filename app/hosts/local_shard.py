"""A shard that is a child of this process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.load.protocol.meter import DONE, MeterReader, MeterReading, make_meter
from app.load.protocol.outcome import Outcome
from app.machine.child import Child

LOG_LINES = 3  # of a failed shard, in the reason
START_DELAY_NS = 20_000_000  # an idle shard reads the start time within 0.1 ms, on a busy CPU it takes longer


class LocalShard:
    """A child process with a meter. Satisfies `Shard`."""

    start_delay_ns = START_DELAY_NS
    host: str | None = None

    def __init__(self, child: Child, meter: MeterReader, group: str | None, cpu: int | None) -> None:
        self.child = child
        self.meter = meter
        self.group = group
        self.cpu = cpu
        self.exited: asyncio.Future[Any] = child.exited
        self._began_ns = time.monotonic_ns()

    @classmethod
    def spawn(cls, job: Mapping[str, Any], group: str | None, cpu: int | None) -> LocalShard:
        """Start a shard with this job, pinned to `cpu`. Main thread only. Raises OSError."""
        meter_fd = make_meter()
        own = {"meter_fd": meter_fd, "lifeline_fd": "{lifeline}", "parent_pid": os.getpid()}
        try:
            stdin = json.dumps({**job, **own, "cpus": None if cpu is None else [cpu]}).encode()
            child = Child.spawn([sys.executable, "-P", "-m", "app.load"], pass_fds=(meter_fd,), stdin=stdin)
            return cls(child, MeterReader(meter_fd), group, cpu)
        finally:
            os.close(meter_fd)

    @property
    def silent_s(self) -> float:
        """How long it has not updated its meter, in seconds; 0 if it has ended."""
        if not self.child.alive:
            return 0.0
        return (time.monotonic_ns() - max(self.meter.read().at_ns, self._began_ns)) / 1e9

    @property
    def failure(self) -> str:
        """How it ended without an outcome, with the end of its log."""
        log = " ".join(list(self.child.log)[-LOG_LINES:])
        return f"ended {self.child.exited.result()} without a result. {log}".strip()

    def read(self) -> MeterReading:
        """Return the meter. A shard that has ended is done, so that the others do not wait for it."""
        reading = self.meter.read()
        return reading if self.child.alive else replace(reading, phase=DONE)

    def outcome(self) -> Outcome | None:
        """Return the outcome of a shard that has exited; None: there is none. Thread-safe."""
        try:
            return Outcome.from_json(json.loads(bytes(self.child.stdout)))
        except ValueError:
            return None

    def start_at(self, start_ns: int) -> None:
        """Send the start time through the lifeline."""
        self.child.write_lifeline(b"%d\n" % start_ns)

    def stop(self) -> None:
        """End the load early; the outcome has what was measured."""
        self.child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, without an outcome."""
        self.child.signal(signal.SIGKILL)

    async def close(self, grace_s: float) -> None:
        """End it, and unmap the meter."""
        if self.child.alive:
            await self.child.stop(grace_s)
        self.meter.close()
