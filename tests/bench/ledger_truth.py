"""Check the cost ledger of a run against perf and strace, for the same requests of the same engine.

    python -m tests.bench.ledger_truth [--requests 10000] [--rate 2000] [--model reactor] [--strace]

perf counts the CPU time (task-clock), context switches and system calls of all threads, from before the first
connection until after the last. The ledger covers the measured window, which is the whole load: there is no
warm-up. `--strace` adds a second run at a tenth of the rate, because strace stops the engine at each call;
its count is exact. Needs the right to trace (root).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.fleet.engine import Engine
from app.lab import Lab
from app.machine.proc import task_paths
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.settings import Settings

from .servers import require

EVENTS = ("task-clock", "context-switches", "raw_syscalls:sys_enter")
ATTACHED_WITHIN_S = 10.0


@dataclass(frozen=True)
class Counted:
    """Totals of perf or strace; None if the tool does not count them."""

    cpu_us: float | None
    switches: int | None
    calls: int
    named: dict[str, int]


@contextlib.asynccontextmanager
async def tracing(command: list[str], is_attached: Callable[[int], bool]) -> AsyncIterator[None]:
    """Run a tool that counts while the body runs. The body starts when the tool is attached."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            async with asyncio.timeout(ATTACHED_WITHIN_S):
                while not is_attached(process.pid):
                    await asyncio.sleep(0.02)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, 10)


async def by_perf(lab: Lab, engine: Engine, plan: dict[str, Any], into: Path) -> tuple[RunView, Counted]:
    pids = ",".join(map(str, engine.pids))
    command = ["perf", "stat", "-x,", "-o", str(into), "-e", ",".join(EVENTS), "-p", pids]

    def is_attached(pid: int) -> bool:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        return sum("perf_event" in link for link in links) >= len(EVENTS)

    async with tracing(command, is_attached):
        view = await one_run(lab, engine, plan)
    fields = [line.split(",") for line in into.read_text().splitlines() if line.count(",") > 3]
    found = {name: float(value) for value, _, name, *_ in fields}
    clock, switches, calls = (found[event] for event in EVENTS)
    return view, Counted(clock * 1000, int(switches), int(calls), {})


async def by_strace(lab: Lab, engine: Engine, plan: dict[str, Any], into: Path) -> tuple[RunView, Counted]:
    attach = [part for pid in engine.pids for part in ("-p", str(pid))]

    def is_attached(_: int) -> bool:
        every = [(task / "status").read_text() for pid in engine.pids for task in task_paths(pid)]
        return not any("TracerPid:\t0\n" in status for status in every)

    async with tracing(["strace", "-c", "-f", "-q", "-o", str(into), *attach], is_attached):
        view = await one_run(lab, engine, plan)
    rows = [line.split() for line in into.read_text().splitlines() if re.match(r" *\d+\.\d+ +\d", line)]
    named = {row[-1]: int(row[3]) for row in rows}
    return view, Counted(None, None, named.pop("total"), named)


async def one_run(lab: Lab, engine: Engine, plan: dict[str, Any]) -> RunView:
    view = await lab.runs.submit(RunRequest(engine=engine.id, plan=plan))
    return await lab.runs.finished(view.id)


def line(name: str, view: RunView, counted: Counted) -> str:
    assert view.ledger and view.verdict
    ledger, answered = view.ledger, int(view.verdict.evidence["answered"] or 0)
    ours = (ledger.voluntary_switches or 0) + (ledger.involuntary_switches or 0)
    cpu = f"{ledger.cpu_us or 0:8.2f} {counted.cpu_us / answered:8.2f}" if counted.cpu_us else f"{'':17}"
    switches = (
        f"{ours:8.3f} {counted.switches / answered:8.3f}" if counted.switches is not None else f"{'':17}"
    )
    most = sorted(counted.named.items(), key=lambda item: -item[1])[:6]
    named = ", ".join(f"{call} {count / answered:.2f}" for call, count in most)
    calls = f"{ledger.io_calls:8.3f} {counted.calls / answered:8.3f}"
    return f"{name:24} {answered:8,} | {cpu} | {switches} | {calls}  {named}"


async def measure(lab: Lab, model: str, requests: int, rate: float, with_strace: bool, folder: Path) -> None:
    started = await lab.fleet.start(model, {})
    engine = lab.fleet.engine(started.id)
    plan = {
        "executor": "constant-arrival-rate",
        "rate_per_s": rate,
        "duration_s": requests / rate,
        "warmup_s": 0,
    }
    print(line(model, *await by_perf(lab, engine, plan, folder / "perf")), flush=True)
    if with_strace:
        slow = {**plan, "rate_per_s": rate / 10, "timeout_s": 30}
        print(line("  under strace", *await by_strace(lab, engine, slow, folder / "strace")), flush=True)
    await engine.stop()


async def run_all(args: argparse.Namespace) -> None:
    with TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            for view in lab.models.views.values():
                if args.model in (None, view.name) and view.available:
                    await measure(lab, view.name, args.requests, args.rate, args.strace, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--model", help="only this one")
    parser.add_argument("--strace", action="store_true")
    args = parser.parse_args()
    require("perf", *(["strace"] if args.strace else []), cpus=2)
    print(f"{args.requests:,} requests at {args.rate:,.0f} req/s, 64 connections; costs per request")
    print(f"{'':24} {'n':>8} | {'CPU, µs':^17} | {'switches':^17} | {'calls':^17}")
    print(
        f"{'':24} {'':>8} | {'ledger':>8} {'perf':>8} | {'ledger':>8} {'perf':>8} | {'our I/O':>8} {'all':>8}"
    )
    asyncio.run(run_all(args))


if __name__ == "__main__":
    main()
