"""Hosts of the cluster, as pages, API and command line show them, and their part in a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HostState(StrEnum):
    """Whether work can be given to a host."""

    READY = "ready"
    WORKING = "working"
    REFUSED = "refused"  # it has joined, and the lab gives it no work
    LOST = "lost"  # it had joined, and is gone


class HostRole(StrEnum):
    """What a host may be asked to do."""

    LOAD = "load"  # run load-generator processes
    ROUNDS = "rounds"  # run whole rounds of comparisons and experiments


@dataclass(frozen=True, slots=True)
class HostView:
    """A host that has joined, or this machine.

    - `address`: of its Dask worker; None: this machine. `reason`: why it is refused or lost.
    - `clock_offset_us`: its CLOCK_MONOTONIC minus that of the lab. That clock counts from the start of a
      machine, so any value is normal. `clock_error_us`: the most by which the offset can be wrong.
      `wall_offset_us`: the same of its wall clock.
    - `rtt_us`: round trip of a message from the lab through the scheduler to the host. None: not measured.
    - `engines`: the models and external servers that can be started there; (): not told.
    - `is_here`: whether it is the machine of the lab. `machine`: equal for two workers on one machine.
    - `work`: what it does now, in words. `version`: of threadlab there.
    """

    name: str
    address: str | None
    state: HostState
    reason: str | None
    roles: tuple[HostRole, ...]
    cores: int
    cpu_model: str
    memory_bytes: int | None
    descriptor_limit: int
    python: str
    kernel: str
    version: str
    clock_offset_us: float | None
    clock_error_us: float | None
    wall_offset_us: float | None
    rtt_us: float | None
    work: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    is_here: bool = False
    machine: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether the lab may give work to it, now or when its current work has ended."""
        return self.state in (HostState.READY, HostState.WORKING)

    @property
    def kind(self) -> str:
        """What has to be equal for figures of two hosts to be comparable, in words."""
        return f"{self.cores} CPUs, {self.cpu_model}, {self.kernel}, {self.python}"


@dataclass(frozen=True, slots=True)
class RoundHost:
    """A host that measured rounds of a comparison or an experiment. `kind`: see `HostView`."""

    name: str
    kind: str
    rounds: int


@dataclass(frozen=True, slots=True)
class HostUse:
    """A host that generates load in a run.

    `clock_offset_us`, `clock_error_us`: as in `HostView`, measured before the load. `rtt_us`: the median
    round trip from the host to the engine, as the time of a TCP connect. None: not measured yet.
    """

    name: str
    cores: int
    kernel: str
    python: str
    clock_offset_us: float | None = None
    clock_error_us: float | None = None
    rtt_us: float | None = None
