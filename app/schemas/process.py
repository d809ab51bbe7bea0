"""A process of an engine at the newest sample, as pages and API show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessView:
    """A process. None: not known.

    `cpu_percent`: of one core, in the last sampling interval. `connections`: open ones on the port of the
    engine. `unread_bytes`: what clients have sent on them and the process has not read. `share`: its part of
    the CPU time of all processes but the first, 0 to 1; None for the first process, or without any CPU time.
    """

    pid: int
    role: str
    threads: int
    cpu_percent: float | None
    connections: int | None
    unread_bytes: int | None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class ProcessesView:
    """All processes of an engine. `jain`: Jain's index of the shares of the workers; None: fewer than two."""

    engine: str
    processes: tuple[ProcessView, ...]
    jain: float | None
