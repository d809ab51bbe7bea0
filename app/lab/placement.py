"""Placement: which CPUs the engine and the generator run on. Part of every run, because it decides the ceiling."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.lab.proc import tasks


@dataclass(frozen=True, slots=True)
class Placement:
    """CPU sets; None: unpinned."""

    mode: str  # split, shared
    engine_cpus: tuple[int, ...] | None
    load_cpus: tuple[int, ...] | None

    def to_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "engine_cpus": self.engine_cpus, "load_cpus": self.load_cpus}


def usable_cpus() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def place(mode: str, cpus: tuple[int, ...], shards: int = 1) -> Placement:
    """`split` gives the generator the last CPUs, one a shard (a shard is one thread), and the engine the others."""
    if mode == "shared" or len(cpus) <= shards:
        return Placement("shared", None, None)
    return Placement("split", cpus[:-shards], cpus[-shards:])


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
