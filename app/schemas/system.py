"""The machine that the lab runs on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemView:
    """Hardware, operating system, interpreter and limits of this machine, with warnings about them."""

    cores: int
    cpu_model: str
    kernel: str
    python: str
    gil: bool
    io_uring: bool
    io_uring_reason: str | None  # why io_uring is not available
    descriptor_limit: int  # hard limit of open files
    somaxconn: int | None
    port_range: tuple[int, ...] | None  # ephemeral ports
    memory_bytes: int | None
    engine_cpus: tuple[int, ...]  # CPUs of engines with placement `split`
    load_cpus: tuple[int, ...]  # CPUs of the load generator with placement `split`
    load_priority: str  # real-time or normal: of an open-loop load generator with placement `split`
    warnings: tuple[str, ...]
    version: str
