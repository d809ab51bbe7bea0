"""What the lab asks of a host. Dask sends these functions by name: both ends have the same sources.

All of them run on the event loop of the worker's main thread, where child processes may be started.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.cluster.agent import Agent
from app.cluster.dask import Worker, get_worker
from app.cluster.round_trip import round_trips_us


def _agent(worker: Worker) -> Agent:
    return cast(Agent, worker.plugins[Agent.name])


async def run_shard(id: str, topic: str, job: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Run a shard of the load generator to its end. See `Agent.run_shard`."""
    return await _agent(get_worker()).run_shard(id, topic, job, title)


async def run_round(
    id: str, topic: str, requests: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], title: str
) -> list[dict[str, Any]]:
    """Carry out the runs of a round. See `Agent.run_round`."""
    return await _agent(get_worker()).run_round(id, topic, requests, limits, title)


async def start_shard(id: str, start_ns: int, dask_worker: Worker) -> None:
    """Start the load of a shard at this instant of the host's clock."""
    _agent(dask_worker).shard(id).start_at(start_ns)


async def stop_shard(id: str, dask_worker: Worker) -> None:
    """End the load of a shard early; its outcome has what was measured."""
    _agent(dask_worker).shard(id).stop()


async def kill_shard(id: str, dask_worker: Worker) -> None:
    """End a shard at once, without an outcome."""
    _agent(dask_worker).shard(id).kill()


async def read_clocks() -> tuple[int, int]:
    """Return CLOCK_MONOTONIC and CLOCK_REALTIME of the host, in ns."""
    return time.monotonic_ns(), time.time_ns()


async def read_work(dask_worker: Worker) -> list[str]:
    """Return what the host does now, in words."""
    return _agent(dask_worker).work


async def measure_rtt(address: str, port: int, dask_worker: Worker) -> list[int]:
    """Return round trips from the host to an engine, in µs; empty: it cannot be reached.

    Raises ValueError if the host may not load the address.
    """
    _agent(dask_worker).check_target(address)
    return await round_trips_us(address, port)
