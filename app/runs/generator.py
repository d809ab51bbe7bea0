"""The load generator of a run: one or several shards, on this machine or on other hosts.

    start ──> each shard connects ──> all are connected: common start time ──> outcomes, merged

A single shard of this machine starts when it is connected; several are told the start time.

The main load has one or several shards, each load group one more. Groups share the CPUs of the main shards,
in turn: they are meant to be small beside the main load, and a CPU of their own would be missing elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from app.hosts.port import HostPool, Slot
from app.hosts.shard import Shard
from app.load.protocol.merging import busiest_cpu, merge
from app.load.protocol.meter import MeterReading, combine
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.cpu_placement import Placement, usable_cpus

CONNECTED_POLL_S = 0.005


class GeneratorFailed(Exception):
    """The load generator ended without a result. The message is the reason, in sentences."""


class Generator:
    """The load of one run. Event loop of the main thread only; close it after use.

    exited: resolves when all shards have ended. lost_shard: one sentence, if some but not all shards ended
    without a result; set by `outcome`.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._kill_reason: str | None = None
        self.lost_shard: str | None = None
        self.exited: asyncio.Task[None] = asyncio.create_task(self._supervise())

    @classmethod
    async def spawn(
        cls,
        plan: Plan,
        host: str,
        port: int,
        pool: HostPool,
        placement: Placement,
        *,
        realtime: bool = False,
    ) -> Generator:
        """Start `plan.shards` processes, and one for each group, on the CPUs or hosts of `placement` in turn.

        `realtime`: with real-time priority. It must be permitted, and the CPUs must not be those of the
        engine. Raises OSError.
        """
        # The target is an engine of this lab, wherever the operator lets engines listen.
        target = {"host": host, "port": port, "allow_any": True, "realtime": realtime}
        jobs = list(shard_jobs(plan))
        shards: list[Shard] = []
        try:
            for (group, job), slot in zip(jobs, slots(placement, len(jobs)), strict=True):
                shards.append(pool.submit_shard({**target, **job}, group, slot))
        except BaseException:
            await asyncio.gather(*(shard.close(0) for shard in shards))
            raise
        return cls(shards)

    def read(self) -> MeterReading:
        """Return the combined live figures of the main load, until the generator is closed.

        The CPU time is that of all shards, because groups use the same CPUs.
        """
        readings = [(shard, shard.read()) for shard in self._shards]
        main = combine([reading for shard, reading in readings if shard.group is None])
        return replace(main, cpu_ns=sum(reading.cpu_ns for _, reading in readings))

    @property
    def silent_s(self) -> float:
        """The longest time in seconds for which a living shard has not updated its meter."""
        return max(shard.silent_s for shard in self._shards)

    def kill(self, reason: str) -> None:
        """Kill all shards. There is no outcome then; `reason` is one sentence."""
        self._kill_reason = reason
        for shard in self._shards:
            shard.kill()

    def stop(self) -> None:
        """End the load early; the outcome covers what was measured."""
        for shard in self._shards:
            shard.stop()

    async def close(self, grace_s: float = 0.5) -> None:
        """End shards that are still alive, and release what they hold."""
        await asyncio.gather(*(shard.close(grace_s) for shard in self._shards))
        await self.exited

    def outcome(self) -> Outcome:
        """Return the merged outcome of the shards that have `exited`, with that of each group.

        Thread-safe. Raises GeneratorFailed if there is none of the main load.
        """
        if self._kill_reason:
            raise GeneratorFailed(self._kill_reason)
        outcomes = [shard.outcome() for shard in self._shards]
        found = [(shard, each) for shard, each in zip(self._shards, outcomes, strict=True) if each]
        main = [each for shard, each in found if shard.group is None]
        failed = [shard for shard, each in zip(self._shards, outcomes, strict=True) if each is None]
        if failed:
            subject = f"{len(failed)} of {len(outcomes)} load-generator processes"
            if not found:
                subject = "The load generator"
            self.lost_shard = f"{subject} {failed[0].failure}"
        if not main:
            raise GeneratorFailed(self.lost_shard)
        if len(found) == 1:
            return main[0]
        busiest = self._busiest(found)
        groups = {shard.group: each for shard, each in found if shard.group is not None}
        return replace(merge(main), groups=groups, busiest=busiest)

    @staticmethod
    def _busiest(found: Sequence[tuple[Shard, Outcome]]) -> float:
        """Return the highest utilisation of one CPU of any host."""
        hosts: defaultdict[str | None, list[tuple[int | None, Outcome]]] = defaultdict(list)
        for shard, outcome in found:
            hosts[shard.host].append((shard.cpu, outcome))
        # Of another host, the CPUs that it may use are not known here: as many as it has shards, at least.
        return max(
            busiest_cpu(each, len(usable_cpus()) if host is None else len(each))
            for host, each in hosts.items()
        )

    async def _supervise(self) -> None:
        if len(self._shards) > 1 or self._shards[0].host:
            await self._start_together()
        for shard in self._shards:
            await asyncio.shield(shard.exited)

    async def _start_together(self) -> None:
        """Send the start time to all shards when all are connected."""
        while not all(shard.read().connected_ns for shard in self._shards if not shard.exited.done()):
            await asyncio.sleep(CONNECTED_POLL_S)
        start_ns = time.monotonic_ns() + max(shard.start_delay_ns for shard in self._shards)
        for shard in self._shards:
            shard.start_at(start_ns)


def slots(placement: Placement, count: int) -> list[Slot]:
    """Return where each of `count` shards runs: on the hosts in turn, or on the CPUs in turn."""
    hosts, cpus = placement.hosts, placement.load_cpus
    if hosts:
        used = Counter(number % len(hosts) for number in range(count))
        return [
            Slot(host=hosts[number % len(hosts)], share=1 / used[number % len(hosts)])
            for number in range(count)
        ]
    return [Slot(cpus[number % len(cpus)] if cpus else None) for number in range(count)]


def shard_jobs(plan: Plan) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield the group (None: the main load) and the plan's part of the job of each shard."""
    # Each shard needs its own connection: there are at most as many shards as connections.
    count = max(1, min(plan.shards, plan.vus_peak))
    waits = count + len(plan.groups) > 1
    main = plan.main_load.to_job()
    for number in range(count):
        yield None, {"plan": main, "shard": number, "shards": count, "waits": waits}
    for group in plan.groups:
        yield group.name, {"plan": plan.group_load(group).to_job(), "waits": waits}
