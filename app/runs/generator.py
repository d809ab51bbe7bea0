"""The load generator of a run: one or several shards, each a child process of the lab.

    spawn ──> each shard connects ──> all are connected: common start time ──> outcomes, merged

Several shards receive the start time through their lifelines. A single shard starts when it is connected.

The main load has one or several shards, each load group one more. Groups share the CPUs of the main shards,
in turn: they are meant to be small beside the main load, and a CPU of their own would be missing elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.load.protocol.merging import busiest_cpu, merge
from app.load.protocol.meter import DONE, MeterReader, MeterReading, combine, make_meter
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.child import Child, ExitStatus
from app.machine.cpu_placement import usable_cpus

CONNECTED_POLL_S = 0.005
START_DELAY_NS = 20_000_000  # an idle shard reads the start time within 0.1 ms, on a busy CPU it takes longer
LOG_LINES = 3  # of a failed shard, in the reason


class GeneratorFailed(Exception):
    """The load generator ended without a result. The message is the reason, in sentences."""


@dataclass(frozen=True, slots=True)
class _Shard:
    """One process. `group`: the name of its load group; None: the main load. `cpu`: it is pinned to it."""

    child: Child
    meter: MeterReader
    group: str | None
    cpu: int | None

    def read(self) -> MeterReading:
        """Return the meter. A shard that has ended is done, so that the others do not wait for it."""
        reading = self.meter.read()
        return reading if self.child.alive else replace(reading, phase=DONE)

    def outcome(self) -> Outcome | None:
        try:
            return Outcome.from_json(json.loads(bytes(self.child.stdout)))
        except ValueError:
            return None


class Generator:
    """The load of one run. Event loop of the main thread only; close it after use.

    exited: resolves with the first non-zero exit status of a shard, or with 0, when all shards have ended.
    lost_shard: one sentence, if some but not all shards ended without a result; set by `outcome`.
    """

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self._shards = shards
        self._began_ns = time.monotonic_ns()
        self._kill_reason: str | None = None
        self.lost_shard: str | None = None
        self.exited: asyncio.Task[ExitStatus] = asyncio.create_task(self._supervise())

    @classmethod
    def spawn(
        cls, plan: Plan, host: str, port: int, cpus: Sequence[int] | None, *, realtime: bool = False
    ) -> Generator:
        """Start `plan.shards` processes, and one for each group, pinned to `cpus` in turn; None: any CPU.

        `realtime`: with real-time priority. It must be permitted, and the CPUs must not be those of the
        engine. Raises OSError.
        """
        target = {"host": host, "port": port, "realtime": realtime}
        shards: list[_Shard] = []
        try:
            for number, (group, job) in enumerate(_jobs(plan)):
                cpu = cpus[number % len(cpus)] if cpus else None
                shards.append(_spawn({**target, **job}, group, cpu))
        except BaseException:
            for shard in shards:
                shard.child.signal(signal.SIGKILL)
                shard.meter.close()
            raise
        return cls(shards)

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the shards that are alive."""
        return tuple(shard.child.pid for shard in self._shards if shard.child.alive)

    def read(self) -> MeterReading:
        """Return the combined live figures of the main load, until the generator is closed.

        The CPU time is that of all shards, because groups use the same CPUs.
        """
        main = combine([shard.read() for shard in self._main])
        if len(self._main) == len(self._shards):
            return main
        return replace(main, cpu_ns=sum(shard.meter.read().cpu_ns for shard in self._shards))

    @property
    def _main(self) -> list[_Shard]:
        return [shard for shard in self._shards if shard.group is None]

    def silent_s(self) -> float:
        """Return the longest time in seconds for which a living shard has not updated its meter."""
        now_ns = time.monotonic_ns()
        since = [max(shard.meter.read().at_ns, self._began_ns) for shard in self._shards if shard.child.alive]
        return (now_ns - min(since)) / 1e9 if since else 0.0

    def kill(self, reason: str) -> None:
        """Kill all shards. There is no outcome then; `reason` is one sentence."""
        self._kill_reason = reason
        for shard in self._shards:
            shard.child.signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the load early; the outcome covers what was measured."""
        for shard in self._shards:
            shard.child.signal(signal.SIGTERM)

    async def close(self, grace_s: float = 0.5) -> None:
        """End shards that are still alive, and unmap the meters."""
        await asyncio.gather(*(shard.child.stop(grace_s) for shard in self._shards if shard.child.alive))
        await self.exited
        for shard in self._shards:
            shard.meter.close()

    def outcome(self) -> Outcome:
        """Return the merged outcome of the shards that have `exited`, with that of each group.

        Thread-safe. Raises GeneratorFailed if there is none of the main load.
        """
        if self._kill_reason:
            raise GeneratorFailed(self._kill_reason)
        outcomes = [shard.outcome() for shard in self._shards]
        found = [(shard, each) for shard, each in zip(self._shards, outcomes, strict=True) if each]
        main = [each for shard, each in found if shard.group is None]
        failed = [shard.child for shard, each in zip(self._shards, outcomes, strict=True) if each is None]
        if failed:
            log = " ".join(list(failed[0].log)[-LOG_LINES:])
            subject = f"{len(failed)} of {len(outcomes)} load-generator processes"
            if not found:
                subject = "The load generator"
            self.lost_shard = f"{subject} ended {failed[0].exited.result()} without a result. {log}".strip()
        if not main:
            raise GeneratorFailed(self.lost_shard)
        if len(found) == 1:
            return main[0]
        busiest = busiest_cpu([(shard.cpu, each) for shard, each in found], len(usable_cpus()))
        groups = {shard.group: each for shard, each in found if shard.group is not None}
        return replace(merge(main), groups=groups, busiest=busiest)

    async def _supervise(self) -> ExitStatus:
        if len(self._shards) > 1:
            await self._start_together()
        statuses = [await asyncio.shield(shard.child.exited) for shard in self._shards]
        return next((each for each in statuses if each.code != 0), statuses[0])

    async def _start_together(self) -> None:
        """Send the start time to all shards when all are connected."""
        while not all(shard.meter.read().connected_ns for shard in self._shards if shard.child.alive):
            await asyncio.sleep(CONNECTED_POLL_S)
        start_ns = time.monotonic_ns() + START_DELAY_NS
        for shard in self._shards:
            shard.child.write_lifeline(b"%d\n" % start_ns)


def _jobs(plan: Plan) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield the group (None: the main load) and the plan's part of the job of each shard."""
    # Each shard needs its own connection: there are at most as many shards as connections.
    count = max(1, min(plan.shards, plan.vus_peak))
    waits = count + len(plan.groups) > 1
    main = plan.main_load.to_job()
    for number in range(count):
        yield None, {"plan": main, "shard": number, "shards": count, "waits": waits}
    for group in plan.groups:
        yield group.name, {"plan": plan.group_load(group).to_job(), "waits": waits}


def _spawn(job: dict[str, Any], group: str | None, cpu: int | None) -> _Shard:
    meter_fd = make_meter()
    own = {"meter_fd": meter_fd, "lifeline_fd": "{lifeline}", "parent_pid": os.getpid()}
    try:
        stdin = json.dumps({**job, **own, "cpus": None if cpu is None else [cpu]}).encode()
        child = Child.spawn([sys.executable, "-P", "-m", "app.load"], pass_fds=(meter_fd,), stdin=stdin)
        return _Shard(child, MeterReader(meter_fd), group, cpu)
    finally:
        os.close(meter_fd)
