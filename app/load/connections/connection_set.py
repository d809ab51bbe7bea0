"""The crowd of a shard: who is there before the load begins. Active ones, the idle beside them, and the slow."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns

from app.load.connections import slow_clients
from app.load.connections.churning import ChurnPeer
from app.load.connections.connection import Peer
from app.load.connections.idle import IdlePeer
from app.load.connections.pipelining import PipelinePeer
from app.load.connections.pool import Crew
from app.load.connections.request_mix import Kind, request_bytes
from app.load.connections.slow_clients import STEP_NS, SlowPeer
from app.load.executors.dispatcher import Floor
from app.load.protocol.plan import Work
from app.load.protocol.shard_job import Order

HOPELESS_FAILURES = 10  # connects refused in a row, at 20 a second, before the run begins with what it has


class Crowd:
    """Makes the peers of a shard's part of the plan, and opens them: first the active, then the idle, then the slow."""

    def __init__(self, order: Order, crew: Crew, host: str) -> None:
        self._plan, self._crew, self._host = order.plan, crew, host
        self._share = order.part.share
        proof = Work("plaintext")
        self._kind = Kind(proof.label, proof.kind, request_bytes(proof, host), None, is_open=False)
        self.missing = self.idle_missing = 0  # connections that were not there when the load began

    def gather(self, floor: Floor) -> None:
        """Returns when all are open and proved, or when it is hopeless."""
        plan, crew = self._plan, self._crew
        crew.counts_itself = plan.churn or plan.pipeline > 1
        active = [self._active() for _ in range(self._share(plan.vus))]
        crew.active = len(active)
        waiting = [self._active() for _ in range(self._share(plan.vus_peak) - len(active))]
        crew.peers.extend(waiting)
        crew.reserve.extend(waiting)
        idle = [IdlePeer(crew, self._kind) for _ in range(self._share(plan.idle_connections))]
        self._open(active, floor)
        there = crew.connected
        self._open(idle, floor)
        self._open(self._slow(), floor)
        if not plan.churn:
            self.missing, self.idle_missing = len(active) - there, len(idle) - crew.held

    def _active(self) -> Peer:
        if self._plan.churn:
            return ChurnPeer(self._crew, self._kind)
        if self._plan.pipeline > 1:
            return PipelinePeer(self._crew, self._kind, self._plan.pipeline)
        return Peer(self._crew, self._kind)

    def _slow(self) -> list[SlowPeer]:
        manners = [slow_clients.reader(self._host)] * self._share(self._plan.slow_readers)
        manners += [slow_clients.writer(self._host)] * self._share(self._plan.slow_writers)
        now, crew = monotonic_ns(), self._crew
        slow = [
            SlowPeer(crew, self._kind, manner, now + number * STEP_NS // len(manners))  # spread over the beat
            for number, manner in enumerate(manners)
        ]
        crew.slow.extend(slow)
        return slow

    def _open(self, peers: Sequence[Peer], floor: Floor) -> None:
        """Until all are open and proved, or it is hopeless: refused ten times in a row, or nothing for a timeout."""
        crew = self._crew
        crew.peers.extend(peers)
        for peer in peers:
            peer.queue_up()
        moved_at, moved = monotonic_ns(), -1
        while (
            (crew.vacant or crew.outside or crew.opening)
            and not floor.stopped
            and crew.failures < HOPELESS_FAILURES
        ):
            now = monotonic_ns()
            there = crew.connected + crew.held + crew.beside
            if there != moved:
                moved_at, moved = now, there
            if now - moved_at > crew.timeout_ns:
                return
            floor.listen(now)
