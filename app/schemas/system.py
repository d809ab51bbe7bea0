"""The machine that the lab runs on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemView:
    cores: int
    cpu_model: str
    kernel: str
    python: str
    gil: bool
    io_uring: bool
    io_uring_reason: str | None
    descriptor_limit: int
    somaxconn: int | None
    port_range: tuple[int, ...] | None
    memory_bytes: int | None
    engine_cpus: tuple[int, ...]  # where `split` puts engines
    load_cpus: tuple[int, ...]  # where `split` puts the generator
    load_priority: str  # real-time or normal: of a generator that sends at given instants, with `split`
    warnings: tuple[str, ...]
    version: str
