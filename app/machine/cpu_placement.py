"""Placement: the CPUs or hosts that engine and load generator run on, and the priority of the generator.

Every run stores it, because it limits the maximum throughput and the accuracy of the send times.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from app.load.protocol.plan import HOSTS, SHARED, SPLIT
from app.machine.proc import task_paths
from app.schemas.host import HostUse

NORMAL, REALTIME = "normal", "real-time"


@dataclass(frozen=True, slots=True)
class Placement:
    """CPU numbers of engine and generator; None means not pinned.

    `mode`: split, shared, or hosts, with the load on other hosts. `hosts`: those, in the order of the shards.
    """

    mode: str
    engine_cpus: tuple[int, ...] | None
    load_cpus: tuple[int, ...] | None
    load_priority: str = NORMAL
    hosts: tuple[HostUse, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the placement as the API and the history show it; `hosts` only if there are some."""
        found = asdict(self)
        return found if self.hosts else {name: found[name] for name in found if name != "hosts"}


def usable_cpus() -> tuple[int, ...]:
    """Return the CPU numbers that this process may run on, in ascending order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def place(mode: str, cpus: tuple[int, ...], shards: int = 1, load_priority: str = NORMAL) -> Placement:
    """Return the placement of a run on `cpus`.

    `split` gives the last CPUs to the generator, one per shard (a shard has one thread), and the others to
    the engine. Without enough CPUs the result is `shared`. The generator gets real-time priority only when
    split: on a shared CPU it would take time from the engine. With `hosts` the engine has all CPUs.
    """
    if mode == HOSTS:
        return Placement(HOSTS, None, None)
    if mode == SHARED or len(cpus) <= shards:
        return Placement(SHARED, None, None)
    return Placement(SPLIT, cpus[:-shards], cpus[-shards:], load_priority)


def load_cpus_max(mode: str) -> int:
    """Return how many CPUs the generator can have; in mode `split` the engine keeps one if there are two."""
    usable = len(usable_cpus())
    return max(1, usable - 1) if mode == SPLIT else usable


def pin(pid: int, cpus: tuple[int, ...] | None) -> None:
    """Move every thread of a process to `cpus` (None: all usable CPUs). New threads inherit the placement."""
    wanted = cpus or usable_cpus()
    for task in task_paths(pid):
        with suppress(OSError):  # the thread has ended
            os.sched_setaffinity(int(task.name), wanted)
