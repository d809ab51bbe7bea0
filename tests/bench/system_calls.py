"""System calls per request with 64 connections, as counted by the engine (`io_calls`) and by the kernel.

    python -m tests.bench.system_calls [--connections 64] [--seconds 3] [--model proactor] [--strace]

perf counts for the kernel (tracepoints, little overhead). `--strace` adds the count of `strace -c -f` for a
fixed number of requests. It is exact as well, but strace stops the engine at each call, so more requests are
ready at each iteration of an event loop and share its calls. Needs the right to trace (root, or
perf_event_paranoid ≤ 1 and a readable tracefs).
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from engines.catalogue import model_modules
from tests.engines.crowds import asking
from tests.engines.driver import VARIANTS, Engine, Variant, running, until

from .servers import SERVER_CPU, require, wrk

ALL = "raw_syscalls:sys_enter"
CALLS = (
    "accept4",
    "recvfrom",
    "sendto",
    "epoll_wait",
    "epoll_ctl",
    "io_uring_enter",
    "futex",
    "poll",
    "read",
    "write",
)
FIXED = 12_800  # requests under strace


@dataclass(frozen=True)
class Counted:
    """The counts of one trial. `calls` are those of the kernel, by name."""

    requests: int
    ours: int
    kernel: int
    calls: dict[str, int]

    def line(self) -> str:
        most = sorted(self.calls.items(), key=lambda item: -item[1])
        named = ", ".join(
            f"{name} {count / self.requests:.3f}" for name, count in most if count / self.requests > 0.005
        )
        ours, kernel = self.ours / self.requests, self.kernel / self.requests
        return f"{self.requests:10,} {ours:8.3f} {kernel:8.3f}   {named}"


@contextmanager
def tracing(command: list[str], is_attached: Callable[[int], bool]) -> Iterator[None]:
    """Run a tracer during the body, which starts when the tracer is attached."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_attached(process.pid), f"{command[0]} counts")
            yield
        finally:
            process.send_signal(signal.SIGINT)


def perf_is_attached(pid: int) -> bool:
    """Return whether perf has opened its last event."""
    opened = [link for link in Path(f"/proc/{pid}/fd").iterdir() if "perf_event" in str(link.readlink())]
    return len(opened) > len(CALLS)


def by_perf(engine: Engine, connections: int, seconds: float, into: Path) -> Counted:
    events = ",".join([ALL, *(f"syscalls:sys_enter_{call}" for call in CALLS)])
    command = ["perf", "stat", "-x,", "-o", str(into), "-e", events, "-p", ",".join(map(str, engine.pids))]
    with tracing(command, perf_is_attached):
        requests, ours = load(engine, lambda: wrk(engine.port, connections, seconds))
    fields = [
        line.split(",") for line in into.read_text().splitlines() if ",,raw_" in line or ",,sys" in line
    ]
    counts = {name.rpartition("sys_enter")[2].lstrip("_"): int(count) for count, _, name, *_ in fields}
    return Counted(requests, ours, counts.pop(""), counts)


def by_strace(engine: Engine, connections: int, into: Path) -> Counted:
    """Count the calls of a fixed number of requests."""
    attach = [part for pid in engine.pids for part in ("-p", str(pid))]

    def is_attached(_: int) -> bool:
        tasks = [(task / "status").read_text() for task in engine.tasks()]
        return not any("TracerPid:\t0\n" in status for status in tasks)

    def ask() -> None:
        with asking(engine, connections) as askers:
            askers.ask_until(lambda: askers.answers >= FIXED, "they are served", 300)
            askers.settle(60)

    with tracing(["strace", "-c", "-f", "-q", "-o", str(into), *attach], is_attached):
        requests, ours = load(engine, ask)
    rows = [line.split() for line in into.read_text().splitlines() if re.match(r" *\d+\.\d+ +\d", line)]
    counts = {row[-1]: int(row[3]) for row in rows}
    return Counted(requests, ours, counts.pop("total"), counts)


def load(engine: Engine, act: Callable[[], object]) -> tuple[int, int]:
    """Run a load until all its connections are closed. Return the requests and I/O calls of the engine."""
    before = engine.board()
    act()
    until(lambda: engine.held() == 0, "all connections are closed", 60)
    after = engine.board()
    return after.requests - before.requests, after.io_calls - before.io_calls


def measure(variant: Variant, connections: int, seconds: float, with_strace: bool) -> None:
    with (
        running(variant, shell=f"taskset -cp {SERVER_CPU} $$ > /dev/null") as engine,
        TemporaryDirectory() as folder,
    ):
        wrk(engine.port, connections, 1)
        print(
            f"{variant.name:28} {by_perf(engine, connections, seconds, Path(folder, 'perf')).line()}",
            flush=True,
        )
        if with_strace:
            print(
                f"{'  under strace':28} {by_strace(engine, connections, Path(folder, 'strace')).line()}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--model", choices=list(model_modules()), help="only this one")
    parser.add_argument("--strace", action="store_true")
    args = parser.parse_args()
    require("perf", "wrk", *(["strace"] if args.strace else []), cpus=2)
    print(f"{args.connections} connections, plaintext, one request at a time on each; calls per request")
    print(f"{'':28} {'requests':>10} {'ours':>8} {'kernel':>8}")
    for variant in (variant for variant in VARIANTS if args.model in (None, variant.model)):
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:28} skipped: {reason}")
        else:
            measure(variant, args.connections, args.seconds, args.strace)


if __name__ == "__main__":
    main()
