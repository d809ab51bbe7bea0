"""A scheduler for a cluster, and workers beside it for trying it on one machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from app.addresses import ClusterAddress, listen_error
from app.cluster.certificates import Role
from app.cluster.dask import Scheduler
from app.cluster.facts import METADATA_KEY, Software
from app.cluster.security import security_of
from app.cluster.worker import HostSpec, run_worker
from app.errors import NotNow

CLOSE_TIMEOUT_S = 5.0


async def run_scheduler(
    listen: ClusterAddress,
    certificates: Path | None,
    workers: Callable[[ClusterAddress], Sequence[HostSpec]],
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> None:
    """Run a scheduler, with workers in this process, until `stop` is set. Main thread only.

    `workers`: the workers for the address that the scheduler has. `say` gets a sentence when it listens.
    Raises NotNow if the address is taken, and Invalid if certificates cannot be used.
    """
    scheduler = Scheduler(
        host=listen.host,
        port=listen.port,
        protocol=listen.scheme,
        security=security_of(listen, certificates, Role.SCHEDULER),
        dashboard=False,
    )
    try:
        await _start(scheduler, listen)
        address = ClusterAddress(listen.scheme, listen.host, scheduler.port)
        say(f"Scheduler: {address}")
        hosts = [asyncio.create_task(run_worker(each, stop, say)) for each in workers(address)]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *hosts], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.gather(stopped, *hosts)
    finally:
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(scheduler.close(), CLOSE_TIMEOUT_S)


async def _start(scheduler: Scheduler, listen: ClusterAddress) -> None:
    try:
        await scheduler
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = listen_error(cause) if isinstance(cause, OSError) else str(cause or error)
        raise NotNow(f"The scheduler cannot listen on {listen}: {reason}.") from error
    scheduler.task_metadata[METADATA_KEY] = Software.here().to_json()
