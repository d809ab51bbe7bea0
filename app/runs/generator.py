"""The load generator as a run sees it: one or several shards, child processes of the lab.

    spawn ──> each shard connects ──> all are connected: one instant to begin ──> outcomes, merged

Several shards are told the instant through their life-lines. One alone begins when it is connected.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.load.protocol.merging import merge
from app.load.protocol.meter import DONE, MeterReader, MeterReading, combine, make_meter
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.child import Child, ExitStatus

CONNECTED_EVERY_S = 0.005
SOON_NS = 20_000_000  # from the word to the start: a shard that sleeps hears it within 0.1 ms, a busy CPU takes longer


class NoOutcome(Exception):
    """The generator ended without a result; the text says why."""


@dataclass(frozen=True, slots=True)
class _Shard:
    child: Child
    meter: MeterReader

    def read(self) -> MeterReading:
        """Its meter; who is gone keeps nobody waiting."""
        reading = self.meter.read()
        return reading if self.child.alive else replace(reading, phase=DONE)

    def outcome(self) -> Outcome | None:
        try:
            return Outcome.from_json(json.loads(bytes(self.child.stdout)))
        except ValueError:
            return None


class Generator:
    """The load of one run. Spawn from the main thread, and close when it has `exited`."""

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self._shards = shards
        self._began_ns = time.monotonic_ns()
        self._killed: str | None = None
        self.lost: str | None = (
            None  # a sentence, if some of the shards ended without a result and others did not
        )
        self.exited: asyncio.Task[ExitStatus] = asyncio.create_task(self._follow())

    @classmethod
    def spawn(
        cls, plan: Plan, host: str, port: int, cpus: Sequence[int] | None, *, realtime: bool = False
    ) -> Generator:
        """Start `plan.shards` processes, one on each of `cpus` in turn; None: wherever the kernel likes.

        `realtime`: with real-time priority, which must be allowed, on CPUs that are not the engine's.
        """
        # A shard needs a connection of its own: fewer connections than shards make fewer shards.
        number = max(1, min(plan.shards, plan.vus_peak))
        shards: list[_Shard] = []
        try:
            for each in range(number):
                mine = (cpus[each % len(cpus)],) if cpus else None
                shards.append(_spawn(plan, host, port, mine, realtime, each, number))
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
        """Its processes that are there."""
        return tuple(shard.child.pid for shard in self._shards if shard.child.alive)

    def read(self) -> MeterReading:
        """The live numbers of all shards together; also after their end, until it is closed."""
        return combine([shard.read() for shard in self._shards])

    def silent_s(self) -> float:
        """How long the most silent of its living processes has written nothing into its meter."""
        now_ns = time.monotonic_ns()
        since = [max(shard.meter.read().at_ns, self._began_ns) for shard in self._shards if shard.child.alive]
        return (now_ns - min(since)) / 1e9 if since else 0.0

    def kill(self, reason: str) -> None:
        """End it at once, without an outcome; `reason` is a sentence."""
        self._killed = reason
        for shard in self._shards:
            shard.child.signal(signal.SIGKILL)

    def stop(self) -> None:
        """End early, with an outcome of what was measured."""
        for shard in self._shards:
            shard.child.signal(signal.SIGTERM)

    async def close(self, grace_s: float = 0.5) -> None:
        """End what is still there, and let go of the meters."""
        await asyncio.gather(*(shard.child.stop(grace_s) for shard in self._shards if shard.child.alive))
        await self.exited
        for shard in self._shards:
            shard.meter.close()

    def outcome(self) -> Outcome:
        """What was measured, when it has `exited`; says in `lost` if a shard is missing. Raises NoOutcome."""
        if self._killed:
            raise NoOutcome(self._killed)
        outcomes = [shard.outcome() for shard in self._shards]
        found = [each for each in outcomes if each]
        missing = [shard.child for shard, each in zip(self._shards, outcomes, strict=True) if each is None]
        if missing:
            said = " ".join(list(missing[0].log)[-3:])
            who = (
                "The load generator" if not found else f"{len(missing)} of {len(outcomes)} shards of the load"
            )
            self.lost = f"{who} ended {missing[0].exited.result()} without a result. {said}".strip()
        if not found:
            raise NoOutcome(self.lost)
        return merge(found)

    async def _follow(self) -> ExitStatus:
        """Give the start when all are connected, and wait for the end; answers the worst of their exits."""
        if len(self._shards) > 1:
            await self._start_together()
        exits = [await asyncio.shield(shard.child.exited) for shard in self._shards]
        return next((each for each in exits if each.code != 0), exits[0])

    async def _start_together(self) -> None:
        while not all(shard.meter.read().connected_ns for shard in self._shards if shard.child.alive):
            await asyncio.sleep(CONNECTED_EVERY_S)
        at_ns = time.monotonic_ns() + SOON_NS
        for shard in self._shards:
            shard.child.write_lifeline(b"%d\n" % at_ns)


def _spawn(
    plan: Plan, host: str, port: int, cpus: tuple[int, ...] | None, realtime: bool, shard: int, shards: int
) -> _Shard:
    meter_fd = make_meter()
    try:
        order = {
            "host": host,
            "port": port,
            "plan": plan.to_json(),
            "shard": shard,
            "shards": shards,
            "cpus": cpus,
            "realtime": realtime,
            "meter_fd": meter_fd,
            "lifeline_fd": "{lifeline}",
            "parent_pid": os.getpid(),
        }
        child = Child.spawn(
            [sys.executable, "-m", "app.load"], pass_fds=(meter_fd,), stdin=json.dumps(order).encode()
        )
        return _Shard(child, MeterReader(meter_fd))
    finally:
        os.close(meter_fd)
