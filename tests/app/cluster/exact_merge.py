"""Run by a test on the hub: two traced shards on hosts, whose merged histogram is compared with all samples.

    python -m tests.app.cluster.exact_merge

Prints JSON: the samples of each host, and whether the merged histograms are those of all samples.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from app.cluster.pool import host_pool
from app.fleet.models import describe
from app.hosts.port import HostPool
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.load.protocol.request_times import RequestTimes
from app.machine.cpu_placement import Placement
from app.machine.system import read_system
from app.runs.generator import Generator
from app.settings import Settings
from tests.app.cluster.network import HUB

PLAN = Plan(executor="constant-arrival-rate", vus=8, rate_per_s=400, duration_s=1, warmup_s=0.2, shards=2)


async def measure(pool: HostPool, port: int) -> Outcome:
    """Return the merged outcome of a load by all hosts."""
    names = [host.name for host in pool.load_hosts()]
    placement = Placement("hosts", None, None, hosts=await pool.prepare(names, HUB, port))
    generator = await Generator.spawn(replace(PLAN, trace=True), HUB, port, pool, placement)
    try:
        await generator.exited
        return generator.outcome()
    finally:
        await generator.close()


async def main() -> dict[str, Any]:
    """Return what the test asserts."""
    settings = Settings()
    pool = host_pool(settings, read_system(describe(settings.engine_python).get("proactor"), settings))
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "engines", "reactor", "--host", HUB), stdout=asyncio.subprocess.PIPE
    )
    assert engine.stdout
    port = json.loads(await engine.stdout.readline())["port"]
    await pool.open()
    try:
        (kind,) = (await measure(pool, port)).kinds
    finally:
        await pool.close()
        engine.terminate()
        await engine.wait()
    samples = RequestTimes.decode(kind.times).service_us
    of_samples = histogram.merge([])
    for us in samples:
        of_samples.record_value(us)
    merged = histogram.decode(kind.service)
    return {
        "samples": len(samples),
        "requests": kind.requests,
        "merged": list(histogram.buckets(merged)),
        "of_samples": list(histogram.buckets(of_samples)),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))  # noqa: T201
