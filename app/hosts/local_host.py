"""This machine as the only host: the default."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from app.errors import NotNow
from app.hosts.local_shard import LocalShard
from app.hosts.port import HostLost, HostRound, Slot
from app.hosts.shard import Shard
from app.machine.identity import machine_id
from app.schemas.host import HostRole, HostState, HostUse, HostView
from app.schemas.system import SystemView


class LocalHost:
    """This machine. Satisfies `HostPool`."""

    cluster: str | None = None

    def __init__(self, system: SystemView) -> None:
        self._system = system
        self.problem: str | None = None
        self.on_event: Callable[[str, str], None] = lambda _name, _text: None

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: whoever submitted a shard closes it."""

    def discover(self) -> tuple[HostView, ...]:
        """Return this machine."""
        return (this_machine(self._system),)

    def load_hosts(self) -> tuple[HostView, ...]:
        """Return nothing: this machine is no other host."""
        return ()

    def round_hosts(self, engines: Collection[str]) -> tuple[HostView, ...]:
        """Return nothing: this machine is no other host."""
        return ()

    def submit_round(
        self, name: str, requests: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], title: str
    ) -> HostRound:
        """Raise HostLost: there is no other host."""
        raise HostLost(f"There is no host {name}: the lab has no cluster.")

    async def prepare(self, names: Sequence[str], address: str, port: int) -> tuple[HostUse, ...]:
        """Raise NotNow if any host is named."""
        if names:
            raise NotNow("The lab has no cluster.")
        return ()

    def submit_shard(self, job: Mapping[str, Any], group: str | None, slot: Slot) -> Shard:
        """Start a child process on the CPU of `slot`. Raises OSError."""
        return LocalShard.spawn(job, group, slot.cpu)


def this_machine(system: SystemView) -> HostView:
    """Return this machine as a host; its clock is that of the lab."""
    return HostView(
        name=platform.node(),
        address=None,
        state=HostState.READY,
        reason=None,
        roles=(HostRole.LOAD, HostRole.ROUNDS),
        cores=system.cores,
        cpu_model=system.cpu_model,
        memory_bytes=system.memory_bytes,
        descriptor_limit=system.descriptor_limit,
        python=system.python,
        kernel=system.kernel,
        version=system.version,
        clock_offset_us=0.0,
        clock_error_us=0.0,
        wall_offset_us=0.0,
        rtt_us=None,
        is_here=True,
        machine=machine_id(),
    )
