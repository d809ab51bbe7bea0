"""Placement: which CPUs the engine and the generator run on, and the generator's priority there.

Part of every run, because it decides the ceiling, and how exactly requests are sent in time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from app.machine.proc import tasks

NORMAL, REALTIME = "normal", "real-time"


@dataclass(frozen=True, slots=True)
class Placement:
    """CPU sets; None: unpinned."""

    mode: str  # split, shared
    engine_cpus: tuple[int, ...] | None
    load_cpus: tuple[int, ...] | None
    load_priority: str = NORMAL

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def usable_cpus() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def place(mode: str, cpus: tuple[int, ...], shards: int = 1, load_priority: str = NORMAL) -> Placement:
    """`split` gives the generator the last CPUs, one a shard (a shard is one thread), and the engine the others.

    Only there can it have real-time priority: on a CPU of the engine it would take the engine's time.
    """
    if mode == "shared" or len(cpus) <= shards:
        return Placement("shared", None, None)
    return Placement("split", cpus[:-shards], cpus[-shards:], load_priority)


def load_cpus(mode: str) -> int:
    """The most CPUs that the generator can have; the engine keeps one of its own where there are two."""
    usable = len(usable_cpus())
    return max(1, usable - 1) if mode == "split" else usable


def pin(pid: int, cpus: tuple[int, ...] | None) -> None:
    """Move every thread of a process; threads that it starts later inherit it. None: to all usable CPUs."""
    wanted = cpus or usable_cpus()
    for task in tasks(pid):
        with suppress(OSError):  # the thread ended meanwhile
            os.sched_setaffinity(int(task.name), wanted)
