"""What hosts of a cluster cost the scheduler, the lab and the hosts. docs/scale.md computes from the figures.

    python -m tests.bench.cluster_costs [--hosts 1 10 40] [--repeats 5] [--seconds 3] [--plain]

Scheduler, hosts and lab are processes of this machine, with certificates (`--plain`: without). All hosts of a
cluster are in one process, which runs them as `threadlab worker` does, so times include waiting for it. Each
figure is the median of the repeats, with the lowest and the highest. CPU times are differences of the clocks
of the processes, minus those of as many idle seconds; bytes are those of the scheduler's sockets, by ss.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from app.cluster import tasks
from app.cluster.agent import REPORT_S
from app.cluster.dask import Worker
from app.cluster.dask_hosts import DaskHosts
from app.cluster.link import Link
from app.cluster.remote_shard import RemoteShard
from app.fleet.models import describe
from app.machine.system import read_system
from app.schemas.host import HostState
from app.settings import Settings
from tests.waiting import BOUND_S

from .cluster_lab import READING, merging, reading, remote_shard, spread
from .cluster_processes import Cluster, Usage, status
from .servers import require

OUTCOME_BYTES = 55_000  # about the size of an outcome of 60 s, which `merging` prints


def show(name: str, found: Sequence[Usage], unit: str) -> None:
    """Print medians and ranges: CPU in µs, and bytes."""
    cells = []
    for field in fields(Usage):
        values = [
            getattr(each, field.name) * (1 if field.name in ("received", "sent") else 1e6) for each in found
        ]
        cells.append(f"{field.name} {spread(values)}")
    print(f"{name:38} {'  '.join(cells)}   µs and B per {unit}", flush=True)


async def send_readings(
    id: str, topic: str, values: tuple[Any, ...], seconds: float, dask_worker: Worker
) -> None:
    """Send the meter of a shard as `Agent` does. Runs on a host; returns at once."""

    async def send() -> None:
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            dask_worker.log_event(topic, {"task": id, "reading": values})
            await asyncio.sleep(REPORT_S)

    dask_worker.lab_bench = asyncio.create_task(send())


async def events(cluster: Cluster, link: Link, topic: str, seconds: float) -> Usage:
    """Return what one message of a shard costs: each host has a shard."""
    shards = [remote_shard(link, number) for number in range(cluster.count)]
    heard = 0

    def handler(shard: RemoteShard) -> Callable[[Mapping[str, Any]], None]:
        def count(message: Mapping[str, Any]) -> None:
            nonlocal heard
            heard += 1
            shard.on_message(message)

        return count

    for number, shard in enumerate(shards):
        link.subscribe(f"bench-{number}", handler(shard))
    workers = list(await link.workers())
    idle = await cluster.used(lambda: asyncio.sleep(seconds + 0.5))
    send = (topic, astuple(READING), seconds)
    calls = [link.call(worker, send_readings, f"bench-{n}", *send) for n, worker in enumerate(workers)]
    await asyncio.gather(*calls)
    busy = await cluster.used(lambda: asyncio.sleep(seconds + 0.5))
    return (busy - idle).per(heard or cluster.count * seconds / REPORT_S)


async def calls(cluster: Cluster, link: Link, number: int) -> tuple[Usage, list[float]]:
    """Return what a call of a host costs, and the round trips in µs, one call after the other."""
    worker = next(iter(await link.workers()))
    times_us: list[float] = []

    async def call() -> None:
        for _ in range(number):
            began_s = time.perf_counter()
            await link.call(worker, tasks.read_clocks)
            times_us.append((time.perf_counter() - began_s) * 1e6)

    return (await cluster.used(call)).per(number), times_us


async def last_arrival_ms(link: Link) -> float:
    """Return when the last of the hosts has got a message that is sent to all of them at once."""
    workers = list(await link.workers())
    began_ns = time.monotonic_ns()
    read = await asyncio.gather(*(link.call(worker, tasks.read_clocks) for worker in workers))
    last_ns: int = max(monotonic_ns for monotonic_ns, _ in read)
    return (last_ns - began_ns) / 1e6


async def with_lab(cluster: Cluster, seconds: float, repeats: int) -> None:
    """Print what a lab costs that only knows its hosts, and how it prepares a run."""
    idle = [await cluster.used(lambda: asyncio.sleep(seconds)) for _ in range(repeats)]
    show("hosts without a lab", [each.per(cluster.count * seconds) for each in idle], "host and s")
    settings = Settings()
    system = read_system(describe(settings.engine_python).get("proactor"), settings)
    hosts = DaskHosts(cluster.address, cluster.certificates, system)
    await hosts.open()
    engine = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = engine.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(BOUND_S):
            while sum(host.state == HostState.READY for host in hosts.discover()) <= cluster.count:
                await asyncio.sleep(0.1)
        known = [await cluster.used(lambda: asyncio.sleep(seconds)) for _ in range(repeats)]
        of_lab = [(a - b).per(cluster.count * seconds) for a, b in zip(known, idle, strict=True)]
        show("hosts with a lab, in addition", of_lab, "host and s")
        names = [host.name for host in hosts.load_hosts()]
        await prepare(cluster, hosts, [names], port, repeats)
        if len(names) > 1:
            await prepare(cluster, hosts, [[name] for name in names], port, repeats)
    finally:
        engine.close()
        await hosts.close()


async def prepare(
    cluster: Cluster, hosts: DaskHosts, batches: Sequence[Sequence[str]], port: int, repeats: int
) -> None:
    """Print what it takes to measure clocks and round trips, those of each batch at once.

    All clocks are the same one here, so a measured offset is an error.
    """
    used, walls_ms, bounds_us, errors_us = [], [], [], []

    async def prepare_all() -> None:
        for batch in batches:
            await hosts.prepare(batch, "127.0.0.1", port)

    for _ in range(repeats):
        began_s = time.perf_counter()
        used.append((await cluster.used(prepare_all)).per(cluster.count))
        walls_ms.append((time.perf_counter() - began_s) * 1e3)
        bounds_us += [host.clock_error_us or 0 for host in hosts.load_hosts()]
        errors_us += [abs(host.clock_offset_us or 0) for host in hosts.load_hosts()]
    show(f"prepare, {len(batches[0])} at once", used, "host")
    print(
        f"{'':38} {spread(walls_ms)} ms for all; clock wrong by {spread(errors_us)} µs, "
        f"at most {spread(bounds_us)} µs",
        flush=True,
    )


async def outcome_of(size: int) -> str:
    """Return a text as a shard returns its outcome. Runs on a host."""
    return "x" * size


async def results(cluster: Cluster, link: Link, size: int) -> Usage:
    """Return what a task costs that returns an outcome of `size` bytes; each host has one at once."""
    workers = list(await link.workers())

    async def all_results() -> None:
        futures = [
            link.submit(f"bench-{secrets.token_hex(8)}", worker, outcome_of, size, resources={})
            for worker in workers
        ]
        await asyncio.gather(*(future.result() for future in futures))
        for future in futures:
            future.release()

    return (await cluster.used(all_results)).per(cluster.count)


async def live(cluster: Cluster, seconds: float, repeats: int) -> None:
    """Print the costs of a running cluster."""
    print(f"\n{cluster.count} hosts, {cluster.address.scheme}", flush=True)
    scheduler, hosts = cluster.pids
    grown_kib = status(scheduler, "VmRSS") - cluster.empty_kib
    descriptors = len(list(Path(f"/proc/{scheduler}/fd").iterdir()))
    print(
        f"scheduler {cluster.empty_kib:,} KiB, + {grown_kib / cluster.count:,.0f} KiB per host; "
        f"process of the hosts {status(hosts, 'VmRSS'):,} KiB; descriptors of the scheduler {descriptors}"
    )
    await with_lab(cluster, seconds, repeats)
    async with contextlib.AsyncExitStack() as stack:
        link, other = [await Link.open(cluster.address, cluster.certificates) for _ in range(2)]
        for each in (link, other):
            stack.push_async_callback(each.close)
        lists = [await cluster.used(link.workers) for _ in range(repeats)]
        show("list of hosts", [each.per(cluster.count) for each in lists], "host")
        found = [await calls(cluster, link, 100) for _ in range(repeats)]
        show("call, one after the other", [each for each, _ in found], "call")
        print(f"{'':38} round trip {spread([us for _, times in found for us in times])} µs")
        print(f"{'':38} all at once, the last arrives after ", end="")
        print(f"{spread([await last_arrival_ms(link) for _ in range(repeats)])} ms")
        tasks_used = [await results(cluster, link, OUTCOME_BYTES) for _ in range(repeats)]
        show(f"task, its result {OUTCOME_BYTES:,} B", tasks_used, "task")
        for name, topic, also in (
            ("message of a shard, no subscriber", "nobody", False),
            ("message of a shard, one lab", link.topic, False),
            ("message of a shard, two labs", link.topic, True),
        ):
            if also:
                other._client.subscribe_topic(topic, lambda _event: None)
            show(name, [await events(cluster, link, topic, seconds) for _ in range(repeats)], "message")
        descriptors = len(list(Path(f"/proc/{scheduler}/fd").iterdir()))
        print(f"descriptors of the scheduler with two labs: {descriptors}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, nargs="*", default=[1, 10, 40])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--plain", action="store_true", help="without certificates")
    args = parser.parse_args()
    require("ss")
    with tempfile.TemporaryDirectory() as folder:
        for count in args.hosts:
            with contextlib.closing(Cluster(Path(folder), count, not args.plain)) as cluster:
                asyncio.run(live(cluster, args.seconds, args.repeats))
    asyncio.run(reading(args.repeats))
    merging(args.repeats)


if __name__ == "__main__":
    main()
