"""Dask with the settings of the lab. Import its classes from here: some settings are read once, at import."""

# ruff: noqa: E402  (the settings come before the imports that read them)
from __future__ import annotations

from typing import Any

import dask

from app.cluster import LOST_AFTER_S

dask.config.set(
    {
        # The lab reports failures itself.
        "logging": {"distributed": "critical", "distributed.client": "critical", "tornado": "critical"},
        # A task that was lost with its host is never given to another one: it would measure something else.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.worker-ttl": f"{2 * LOST_AFTER_S:g}s",
        "distributed.admin.low-level-log-length": 1,  # events that the scheduler keeps of each topic
        "distributed.admin.system-monitor.gil.enabled": False,  # it wakes up 1,000 times per second
        "distributed.admin.system-monitor.interval": "2s",
        "distributed.worker.profile.enabled": False,
        "distributed.worker.http.routes": [],
        "distributed.scheduler.http.routes": [],
        "distributed.comm.timeouts.connect": "5s",
        "distributed.comm.timeouts.tcp": "15s",
    }
)

import distributed
from distributed import (
    Client,
    Future,
    Security,
    WorkerPlugin,
    get_worker,
    rpc,
)
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.scheduler import KilledWorker


class Scheduler(distributed.Scheduler):  # type: ignore[misc]
    """A scheduler without the HTTP server that Dask starts beside each one, also without a dashboard."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


class Worker(distributed.Worker):  # type: ignore[misc]
    """A worker without an HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


__all__ = (
    "Client",
    "ClosedClientError",
    "Future",
    "FutureCancelledError",
    "KilledWorker",
    "Scheduler",
    "Security",
    "Worker",
    "WorkerPlugin",
    "get_worker",
    "rpc",
)
