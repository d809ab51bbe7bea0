"""A host joins a cluster: a standard Dask worker with the lab's agent, joined again whenever it is dropped.

The worker runs in the main thread of this process, without a nanny: child processes are killed with the
thread that started them. No memory limit: the measured processes are not its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.addresses import ClusterAddress, listen_error
from app.cluster import WHOLE_HOST
from app.cluster.agent import Agent, Network
from app.cluster.certificates import Role
from app.cluster.dask import Worker
from app.cluster.facts import HostFacts, Software
from app.cluster.joining import Unreachable, check_scheduler
from app.cluster.security import security_of
from app.errors import Invalid

RETRY_S = 2.0
JOIN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 20.0  # a lab that measures a round needs some seconds to end
TASKS_MAX = 64  # at once: the main load of a run and its groups; resources limit them, not threads


class NameTaken(Invalid):
    """Another host has this name: another machine, or this one before its connection was cut."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is the name of another host; choose one with --name.")


@dataclass(frozen=True, slots=True)
class HostSpec:
    """How a host joins. `targets`: the addresses that it may load; empty: loopback and private ones."""

    scheduler: ClusterAddress
    certificates: Path | None
    name: str
    facts: HostFacts
    targets: Sequence[Network] = ()

    @property
    def resources(self) -> dict[str, float]:
        """What Dask hands out: the whole host, for one load or one round at a time."""
        return {WHOLE_HOST: 1.0}


async def run_worker(spec: HostSpec, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Be a host of the cluster until `stop` is set. Main thread only.

    `say` gets one sentence when the host has joined, and when it waits for the scheduler. Raises Invalid if
    the cluster refuses this host.
    """
    if shortage := spec.facts.shortage():
        raise Invalid(shortage)
    stopped = asyncio.create_task(stop.wait())
    said, has_joined = "", False
    try:
        while not stop.is_set():
            try:
                await check_scheduler(spec.scheduler, spec.certificates, Role.WORKER, Software.here())
                said = ""
                await _join(spec, stopped, say)
                has_joined = True
                if not stop.is_set():
                    say(f"The connection to {spec.scheduler} has ended. Joining again.")
            except NameTaken as error:
                if not has_joined:
                    raise
                say(f"{error.detail} Trying again every {RETRY_S:.0f} s.")
            except Unreachable as error:
                if error.detail != said:  # once, not every 2 s
                    say(f"{error.detail} Trying again every {RETRY_S:.0f} s.")
                said = error.detail
            await asyncio.wait([stopped], timeout=RETRY_S)
    finally:
        stopped.cancel()


async def _join(spec: HostSpec, stopped: asyncio.Task[bool], say: Callable[[str], None]) -> None:
    """Be a worker until the connection ends or `stopped` is done. Raises Unreachable, Invalid."""
    with tempfile.TemporaryDirectory(prefix="threadlab-worker-", ignore_cleanup_errors=True) as folder:
        facts = spec.facts.to_json()
        worker = Worker(
            str(spec.scheduler),
            name=spec.name,
            nthreads=TASKS_MAX,
            resources=spec.resources,
            memory_limit=0,
            host=_address_towards(spec.scheduler),  # otherwise Dask listens on all addresses
            security=security_of(spec.scheduler, spec.certificates, Role.WORKER),
            local_directory=folder,
            dashboard=False,
            startup_information={"lab": lambda _worker: facts},
            plugins=(Agent(spec.targets),),
        )
        try:
            await _start(worker, spec)
            say(f"Joined {spec.scheduler} as {spec.name}, for {' and '.join(spec.facts.roles)}.")
            finished = asyncio.create_task(worker.finished())
            await asyncio.wait([finished, stopped], return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
        finally:
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(worker.close(timeout=1, nanny=False), CLOSE_TIMEOUT_S)


def _address_towards(scheduler: ClusterAddress) -> str:
    """Return the address of this machine in the network of the scheduler. Raises Unreachable."""
    try:
        family, kind, *_, address = socket.getaddrinfo(
            scheduler.host, scheduler.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # UDP: it chooses a route and sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise Unreachable(f"There is no route to {scheduler}: {listen_error(error)}.") from error


async def _start(worker: Worker, spec: HostSpec) -> None:
    try:
        await asyncio.wait_for(worker, JOIN_TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise Unreachable(
            f"The scheduler at {spec.scheduler} does not let this host join: {error}."
        ) from error
    except (ValueError, RuntimeError) as error:
        cause = str(error.__cause__ or error)
        if "name taken" in cause:
            raise NameTaken(spec.name) from error
        raise Unreachable(f"The scheduler at {spec.scheduler} refused this host: {cause}.") from error
