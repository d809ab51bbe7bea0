"""What the lab needs of the hosts that share its work.

`LocalHost` is this machine alone. `DaskHosts` (app/cluster/) adds the hosts of a Dask cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.hosts.shard import Shard
from app.schemas.host import HostUse, HostView


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a shard runs: on a CPU of this machine (None: any), or on another host.

    `share`: which part of the host's load resource the shard takes; those of a run on one host take all.
    """

    cpu: int | None = None
    host: HostUse | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class HostRun:
    """A run that a host has measured, as JSON data: its view, the generator's outcome, and its series."""

    view: Mapping[str, Any]
    outcome: Mapping[str, Any] | None
    series: Mapping[str, Any]


class HostLost(Exception):
    """A host was lost during a round, or cannot be used any more. The message is a sentence."""


class HostRound(Protocol):
    """A round on another host. Event loop of the main thread only."""

    @property
    def ended_runs(self) -> int:
        """How many of its runs have ended so far."""
        ...

    async def result(self) -> tuple[HostRun, ...]:
        """Return its runs when all have ended.

        Raises HostLost, and LabError if the host refuses a run or fails for another reason.
        """
        ...

    async def close(self) -> None:
        """Forget the round; the host stops it if it has not ended."""
        ...


class HostPool(Protocol):
    """The hosts of a lab. Event loop of the main thread only.

    problem: why no host of the cluster can be used, in a sentence; None: they can, or there is no cluster.
    on_event: called with the name of an event, such as host.joined, and a sentence.
    """

    problem: str | None
    on_event: Callable[[str, str], None]

    @property
    def cluster(self) -> str | None:
        """The address of the scheduler; None: no cluster."""
        ...

    async def open(self) -> None:
        """Connect. Returns when the hosts are known, or after some seconds: see `problem`."""
        ...

    async def close(self) -> None:
        """Disconnect. What still runs on other hosts is ended there."""
        ...

    def discover(self) -> tuple[HostView, ...]:
        """Return this machine, and the hosts of the cluster that are or were there."""
        ...

    def load_hosts(self) -> tuple[HostView, ...]:
        """Return the hosts of the cluster that can generate load, by name."""
        ...

    def round_hosts(self, engines: Collection[str]) -> tuple[HostView, ...]:
        """Return the hosts of the cluster that run rounds and can start all these engines, by name."""
        ...

    def submit_round(
        self, name: str, requests: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], title: str
    ) -> HostRound:
        """Start the runs of a round on a host, one after the other.

        `requests`: fields of a `RunRequest`. `limits`: settings that bound a plan. `title`: what the host
        shows as its work. Raises HostLost.
        """
        ...

    async def prepare(self, names: Sequence[str], address: str, port: int) -> tuple[HostUse, ...]:
        """Measure the clocks of these hosts, and their round trips to an engine.

        Raises NotNow if one of them does not answer.
        """
        ...

    def submit_shard(self, job: Mapping[str, Any], group: str | None, slot: Slot) -> Shard:
        """Start a shard with this job. Raises OSError. The shard has `stop` and `outcome`."""
        ...
