"""The lab's part in a Dask worker: it runs shards as child processes and reports their meters.

A shard ends with its task: when the lab releases it or is gone, when the worker closes, and when the
scheduler cannot be reached, because nobody would get the outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from app.cluster import LOST_AFTER_S
from app.cluster.dask import Worker, WorkerPlugin
from app.cluster.host_lab import host_lab, run_all
from app.hosts.local_shard import LocalShard

REPORT_S = 0.1  # between two messages of a shard
CHECK_S = 1.0  # between two messages to the scheduler that wait for an answer
START_TIMEOUT_S = 60.0  # a shard waits for its start instant so long
GRACE_S = 1.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Agent(WorkerPlugin):  # type: ignore[misc]
    """Runs what the lab asks of this host. Event loop of the worker's main thread only.

    work: what it does now, in words.
    """

    name = "threadlab"

    def __init__(self, targets: Sequence[Network] = ()) -> None:
        """`targets`: the addresses that this host may load; empty: loopback and private ones."""
        self._targets = tuple(targets)
        self._worker: Worker | None = None
        self._shards: dict[str, LocalShard] = {}
        self._titles: dict[str, str] = {}
        self._rounds: dict[str, asyncio.Task[list[dict[str, Any]]]] = {}
        self._unwanted: set[str] = set()  # rounds that Dask has cancelled

    def setup(self, worker: Worker) -> None:
        """Keep the worker that has loaded this plugin."""
        self._worker = worker

    async def teardown(self, worker: Worker) -> None:
        """End all shards and rounds when the worker closes, and wait until their processes have ended."""
        self._unwanted.update(self._rounds)
        shards = [shard.close(GRACE_S) for shard in self._shards.values()]
        await asyncio.gather(*shards, *self._rounds.values(), return_exceptions=True)

    @property
    def work(self) -> list[str]:
        return list(self._titles.values())

    def shard(self, id: str) -> LocalShard:
        """Return a shard that runs. Raises KeyError."""
        return self._shards[id]

    def check_target(self, host: str) -> None:
        """Raise ValueError if this host may not load the address."""
        address = ipaddress.ip_address(host)
        is_local = address.is_loopback or (address.is_private and not address.is_link_local)
        if not any(address in network for network in self._targets) and (self._targets or not is_local):
            raise ValueError(f"{host} is not among the addresses that this host may load (--targets).")

    async def run_shard(self, id: str, topic: str, job: Mapping[str, Any], title: str) -> dict[str, Any]:
        """Run a shard, report its meter under `topic`, and return its outcome and how it ended.

        Raises ValueError if the target is not allowed, and OSError if no process can be started.
        """
        assert self._worker
        self.check_target(str(job["host"]))
        shard = LocalShard.spawn(job, None, None)
        self._shards[id], self._titles[id] = shard, title
        try:
            await self._report(self._worker, id, shard, topic)
            return {
                "outcome": bytes(shard.child.stdout).decode(),
                "failure": shard.failure,
            }
        finally:
            del self._shards[id], self._titles[id]
            await asyncio.shield(shard.close(GRACE_S))

    async def run_round(
        self,
        id: str,
        topic: str,
        requests: Sequence[Mapping[str, Any]],
        limits: Mapping[str, Any],
        title: str,
    ) -> list[dict[str, Any]]:
        """Carry out the runs of a round in a lab of this host, and return them. See `host_lab`.

        Raises LabError if a run is refused, and Unwanted if nobody waits for the round any more.
        """
        # A task of its own: when Dask cancels this one, the lab still ends its engines.
        carried_out = self._carry_out(id, topic, requests, limits, title)
        task = self._rounds[id] = asyncio.create_task(carried_out)
        task.add_done_callback(lambda _: self._rounds.pop(id, None))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._unwanted.add(id)
            raise

    async def _carry_out(
        self,
        id: str,
        topic: str,
        requests: Sequence[Mapping[str, Any]],
        limits: Mapping[str, Any],
        title: str,
    ) -> list[dict[str, Any]]:
        worker, checked_s = self._worker, time.monotonic()
        assert worker
        answers: asyncio.Task[bool] | None = None

        def is_wanted() -> bool:
            is_cut_off = answers is not None and answers.done() and not answers.result()
            return not (is_cut_off or id in self._unwanted or self._is_released(worker, id))

        def on_progress(ended: int) -> None:
            nonlocal answers, checked_s
            worker.log_event(topic, {"task": id, "ended": ended})
            if (answers is None or answers.done()) and time.monotonic() - checked_s > CHECK_S:
                answers, checked_s = asyncio.create_task(_answers(worker)), time.monotonic()

        self._titles[id] = title
        try:
            on_progress(0)
            async with host_lab(limits) as lab:
                return await run_all(lab, requests, is_wanted, on_progress)
        finally:
            del self._titles[id]
            self._unwanted.discard(id)

    async def _report(self, worker: Worker, id: str, shard: LocalShard, topic: str) -> None:
        """Send the meter until the shard has ended; end it if nobody needs the outcome any more."""
        began_s = checked_s = time.monotonic()
        while not shard.exited.done():
            reading = shard.read()
            worker.log_event(topic, {"task": id, "reading": astuple(reading)})
            now_s = time.monotonic()
            if (not reading.started_ns and now_s - began_s > START_TIMEOUT_S) or self._is_released(
                worker, id
            ):
                shard.kill()
            elif now_s - checked_s > CHECK_S:
                checked_s = now_s
                if not await _answers(worker):
                    shard.kill()
            await asyncio.wait([shard.exited], timeout=REPORT_S)
        worker.log_event(topic, {"task": id, "reading": astuple(shard.read())})

    @staticmethod
    def _is_released(worker: Worker, key: str) -> bool:
        """Return whether the lab does not wait for the task any more, or is gone."""
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "resumed")


async def _answers(worker: Worker) -> bool:
    """Return whether the scheduler answers within the time after which the lab takes the host for lost."""
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(worker.scheduler.echo(data=0), LOST_AFTER_S)
        return True
    return False
