"""The crowd of a shard: who is there before the load begins. Active ones, the idle beside them, and the slow."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns

from app.load.connections import slow_connection
from app.load.connections.churn_connection import ChurnConnection
from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.idle_connection import IdleConnection
from app.load.connections.pipelined_connection import PipelinedConnection
from app.load.connections.request_mix import RequestKind, build_request
from app.load.connections.slow_connection import STEP_NS, SlowConnection
from app.load.executors.dispatcher import Dispatcher
from app.load.protocol.plan import Work
from app.load.protocol.shard_job import ShardJob

CONNECT_FAILURES_MAX = 10  # connects refused in a row, at 20 a second, before the run begins with what it has


class ConnectionSet:
    """Makes the peers of a shard's part of the plan, and opens them: first the active, then the idle, then the slow."""

    def __init__(self, order: ShardJob, pool: ConnectionPool, host: str) -> None:
        self._plan, self._pool, self._host = order.plan, pool, host
        self._share = order.share.portion
        work = Work("plaintext")
        self._proof_kind = RequestKind(work.label, work.kind, build_request(work, host), None, is_open=False)
        self.missing = self.idle_missing = 0  # connections that were not there when the load began

    def open_all(self, dispatcher: Dispatcher) -> None:
        """Returns when all are open and proved, or when it is hopeless."""
        plan, pool = self._plan, self._pool
        pool.counts_in_flight = plan.churn or plan.pipeline > 1
        active = [self._new_active() for _ in range(self._share(plan.vus))]
        pool.active = len(active)
        waiting = [self._new_active() for _ in range(self._share(plan.vus_peak) - len(active))]
        pool.connections.extend(waiting)
        pool.reserve.extend(waiting)
        idle = [IdleConnection(pool, self._proof_kind) for _ in range(self._share(plan.idle_connections))]
        self._open(active, dispatcher)
        opened_now = pool.connected
        self._open(idle, dispatcher)
        self._open(self._new_slow(), dispatcher)
        if not plan.churn:
            self.missing, self.idle_missing = len(active) - opened_now, len(idle) - pool.idle_held

    def _new_active(self) -> ClientConnection:
        if self._plan.churn:
            return ChurnConnection(self._pool, self._proof_kind)
        if self._plan.pipeline > 1:
            return PipelinedConnection(self._pool, self._proof_kind, self._plan.pipeline)
        return ClientConnection(self._pool, self._proof_kind)

    def _new_slow(self) -> list[SlowConnection]:
        profiles = [slow_connection.slow_reader(self._host)] * self._share(self._plan.slow_readers)
        profiles += [slow_connection.slow_writer(self._host)] * self._share(self._plan.slow_writers)
        now, pool = monotonic_ns(), self._pool
        slow = [
            SlowConnection(
                pool, self._proof_kind, profile, now + number * STEP_NS // len(profiles)
            )  # spread over the beat
            for number, profile in enumerate(profiles)
        ]
        pool.slow.extend(slow)
        return slow

    def _open(self, connections: Sequence[ClientConnection], dispatcher: Dispatcher) -> None:
        """Until all are open and proved, or it is hopeless: refused ten times in a row, or nothing for a timeout."""
        pool = self._pool
        pool.connections.extend(connections)
        for connection in connections:
            connection.schedule_open()
        progress_at, last_opened = monotonic_ns(), -1
        while (
            (pool.to_open or pool.idle_to_open or pool.opening)
            and not dispatcher.stopped
            and pool.connect_failures < CONNECT_FAILURES_MAX
        ):
            now = monotonic_ns()
            opened_now = pool.connected + pool.idle_held + pool.slow_connected
            if opened_now != last_opened:
                progress_at, last_opened = now, opened_now
            if now - progress_at > pool.timeout_ns:
                return
            dispatcher.run_once(now)
