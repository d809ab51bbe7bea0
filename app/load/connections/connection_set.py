"""The connections that a shard opens before the load: active, idle, and those of slow clients."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns
from typing import Protocol

from app.load.connections.churn_connection import ChurnConnection
from app.load.connections.client_connection import ClientConnection
from app.load.connections.client_profile import slow_reader, slow_writer
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.idle_connection import IdleConnection
from app.load.connections.pipelined_connection import PipelinedConnection
from app.load.connections.request_kind import request_kind
from app.load.connections.slow_connection import STEP_NS, SlowConnection
from app.load.protocol.plan import Work
from app.load.protocol.shard_job import ShardJob

CONNECT_FAILURES_MAX = (
    10  # in a row, at 20 per second; then the load begins with the connections that are open
)


class EventLoop(Protocol):
    """What handles events while connections open. `stopped`: the load was stopped."""

    stopped: bool

    def run_once(self, now: int) -> None:
        """Handle the events of at most 50 ms."""


class ConnectionSet:
    """Creates and opens the connections of a shard: active ones, then idle ones, then slow clients.

    `missing`, `idle_missing`: active and idle connections that were not open when the load began.
    """

    def __init__(self, job: ShardJob, pool: ConnectionPool, host: str) -> None:
        self._plan, self._pool, self._host = job.plan, pool, host
        self._portion = job.share.portion
        self._kind = request_kind(Work("plaintext"), host, is_open=False)
        self.missing = self.idle_missing = 0

    def open_all(self, loop: EventLoop) -> None:
        """Block until all connections are open and idle ones are served, or until no more can be opened."""
        plan, pool = self._plan, self._pool
        pool.counts_in_flight = plan.churn or plan.pipeline > 1
        active = [self._new_active() for _ in range(self._portion(plan.vus))]
        pool.active = len(active)
        if not plan.churn and plan.executor != "ramping-vus":
            pool.counted = active
        reserve = [self._new_active() for _ in range(self._portion(plan.vus_peak) - len(active))]
        pool.connections.extend(reserve)
        pool.reserve.extend(reserve)
        idle = [IdleConnection(pool, self._kind) for _ in range(self._portion(plan.idle_connections))]
        self._open(active, loop)
        connected = pool.connected
        self._open(idle, loop)
        slow = self._new_slow()
        pool.slow.extend(slow)
        self._open(slow, loop)
        if not plan.churn:
            self.missing, self.idle_missing = len(active) - connected, len(idle) - pool.idle_held

    def _new_active(self) -> ClientConnection:
        if self._plan.churn:
            return ChurnConnection(self._pool, self._kind)
        if self._plan.pipeline > 1:
            return PipelinedConnection(self._pool, self._kind, self._plan.pipeline)
        return ClientConnection(self._pool, self._kind)

    def _new_slow(self) -> list[SlowConnection]:
        """Return the slow clients' connections; their first steps are spread evenly over STEP_NS."""
        profiles = [slow_reader(self._host)] * self._portion(self._plan.slow_readers)
        profiles += [slow_writer(self._host)] * self._portion(self._plan.slow_writers)
        now = monotonic_ns()
        return [
            SlowConnection(self._pool, self._kind, profile, now + number * STEP_NS // len(profiles))
            for number, profile in enumerate(profiles)
        ]

    def _open(self, connections: Sequence[ClientConnection], loop: EventLoop) -> None:
        """Block until all are open, too many attempts have failed in a row, or none opens for a timeout."""
        pool = self._pool
        pool.connections.extend(connections)
        for connection in connections:
            connection.schedule_open()
        progress_at, last_opened = monotonic_ns(), -1
        while (
            (pool.to_open or pool.idle_to_open or pool.opening)
            and not loop.stopped
            and pool.connect_failures < CONNECT_FAILURES_MAX
        ):
            now = monotonic_ns()
            opened = pool.connected + pool.idle_held + pool.slow_connected
            if opened != last_opened:
                progress_at, last_opened = now, opened
            if now - progress_at > pool.timeout_ns:
                return
            loop.run_once(now)
