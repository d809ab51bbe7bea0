"""What many hosts cost the lab without network: reading meters, and merging outcomes. See cluster_costs."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from typing import Any

from app.cluster.remote_shard import RemoteShard
from app.cluster.remote_task import Member, RemoteTask
from app.hosts.clock import ClockOffset
from app.load.protocol.merging import merge
from app.load.protocol.meter import BUCKETS, MEASURE, MeterReading
from app.load.protocol.outcome import Outcome
from app.runs.generator import Generator
from tests.engines.driver import ROOT
from tests.waiting import BOUND_S

SECONDS = 60  # of the merged outcomes
SHARDS = (1, 10, 100, 1000)
MERGED = (2, 10, 100)
PLAN = {"executor": "constant-arrival-rate", "rate_per_s": 1000, "vus": 32, "duration_s": 3, "warmup_s": 0}
READING = MeterReading(
    **{"phase": MEASURE, "intended": 60_000, "sent": 60_000, "completed": 59_990, "in_flight": 3},
    **dict.fromkeys(("connected_ns", "started_ns", "measured_from_ns", "at_ns"), 86_400_000_000_000),
    **{"cpu_ns": 1_500_000_000, "bytes_in": 9_000_000, "bytes_out": 4_000_000, "connections": 32},
    service=(0,) * 60 + (400, 3000, 9000, 9000, 3000, 400) * 10 + (0,) * (BUCKETS - 120),
    response=(0,) * 60 + (400, 3000, 9000, 9000, 3000, 400) * 10 + (0,) * (BUCKETS - 120),
)


def spread(values: Sequence[float]) -> str:
    """Return the median, and the lowest and highest of several values."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def remote_shard(link: Any, number: int) -> RemoteShard:
    """Return a shard on a host that has not been started."""
    host = Member(f"host-{number}", "", ClockOffset(0, 0, 0))
    return RemoteShard(RemoteTask(link, host, "shard"), host, PLAN, None)


def timed_us(repeats: int, action: Callable[[], object]) -> str:
    """Return the CPU time of an action in µs, after one that does not count."""
    action()
    values = []
    for _ in range(repeats):
        began_s = time.process_time()
        action()
        values.append((time.process_time() - began_s) * 1e6)
    return spread(values)


class NoLink:
    """Instead of a connection to a scheduler: it sends nothing."""

    def call_soon(self, *_: object, **__: object) -> None:
        """Do nothing."""


async def reading(repeats: int) -> None:
    """Print what n shards cost the lab for each sample of a run."""
    print("\nlab, without network")
    message = {"reading": list(astuple(READING))}
    for count in SHARDS:
        shards = [remote_shard(NoLink(), number) for number in range(count)]
        each_us = timed_us(repeats, lambda shards=shards: [each.on_message(message) for each in shards])  # type: ignore[misc]
        for each in shards:
            each.start_at(time.monotonic_ns())
        generator = Generator(shards)
        generator.exited.cancel()
        read_us, silent_us = (
            timed_us(repeats, action)
            for action in (generator.read, lambda generator=generator: generator.silent_s)
        )
        print(f"{count:5} shards: all messages {each_us} µs, read {read_us} µs, silence {silent_us} µs")


@contextlib.contextmanager
def engine() -> Iterator[int]:
    """Start an engine, and give its port."""
    command = [sys.executable, "-P", "-m", "engines", "reactor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield int(json.loads(process.stdout.readline())["port"])
        process.terminate()


def measured_outcome() -> Outcome:
    """Return the outcome of a real load, with its seconds repeated."""
    with engine() as port:
        job = json.dumps({"host": "127.0.0.1", "port": port, "plan": PLAN})
        command = [sys.executable, "-P", "-m", "app.load"]
        done = subprocess.run(command, input=job, capture_output=True, text=True, check=True, timeout=BOUND_S)
    outcome = Outcome.from_json(json.loads(done.stdout))
    seconds = [second for second in outcome.seconds if second.phase == "measure"]
    repeated = tuple(replace(seconds[n % len(seconds)], t=float(n)) for n in range(SECONDS))
    return replace(outcome, seconds=repeated)


def merging(repeats: int) -> None:
    """Print the size of an outcome, and the time of merging n of them."""
    outcome = measured_outcome()
    text = json.dumps(outcome.to_json())
    parse_us = timed_us(repeats, lambda: Outcome.from_json(json.loads(text)))
    print(f"\noutcome of {SECONDS} s at {PLAN['rate_per_s']:,}/s: {len(text):,} B, parsed in {parse_us} µs")
    for count in MERGED:
        print(f"{count:5} merged: {timed_us(repeats, lambda count=count: merge([outcome] * count))} µs")  # type: ignore[misc]
