"""Thousands of idle keep-alive connections and 64 active ones, on every engine.

    python -m tests.bench.idle_connections [--idle 10000] [--connections 64] [--seconds 3] [--model reactor]

A client process holds the idle connections, from several source addresses: one process may have 20,000
descriptors on a small machine. It sends one request on each when all are open and one more at the end; each
request without a response is an error. The active connections are wrk's. Memory is RssAnon, so it includes
neither the board nor kernel stacks (16 KiB per thread) nor socket buffers. "Idle CPU" is measured while
nothing is sent: the cost of the timers.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from engines.catalogue import model_modules
from tests.engines.churn import anonymous_kib
from tests.engines.crowds import Askers, allow_descriptors
from tests.engines.driver import ROOT, VARIANTS, Engine, Variant, running, until
from tests.measure.engines.cpu import cores_used

from .servers import require, wrk

TIMEOUT_S = 60.0
IDLE_S = 5.0


def hold(port: int, size: int) -> None:
    """Run the client process: connect, then for each line of stdin send a request on each connection.

    Prints the number of requests without a response.
    """
    allow_descriptors()
    askers = Askers(port, size)
    for number in (1, 2):
        print("held" if number == 1 else "waits", flush=True)
        sys.stdin.readline()
        for asker in askers.all:
            if asker.open:
                asker.ask()
        with contextlib.suppress(AssertionError):
            askers.settle(TIMEOUT_S)
        served = sum(len(asker.answers) == number and asker.answers[-1].status == 200 for asker in askers.all)
        print(size - served, flush=True)


class IdleConnections:
    """The client process, as seen by the benchmark."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout

    def read_line(self) -> str:
        return self._stdout.readline().strip()

    def request_all(self) -> int:
        """Send one request on each connection. Return the number of requests without a response."""
        self._stdin.write("\n")
        self._stdin.flush()
        return int(self.read_line())


@contextlib.contextmanager
def idle_connections(port: int, size: int) -> Iterator[IdleConnections]:
    command = [sys.executable, "-m", "tests.bench.idle_connections", "--hold", str(port), "--idle", str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield IdleConnections(process)
        finally:
            process.kill()


def memory_kib(engine: Engine) -> int:
    return sum(map(anonymous_kib, engine.pids))


def idle_cpu(engine: Engine) -> float:
    """Return the number of cores that the engine uses while nothing is sent."""
    return cores_used(engine, lambda: time.sleep(IDLE_S))


def measure(variant: Variant, idle: int, connections: int, seconds: float) -> int:
    """Print one line. Return the number of errors."""
    with running(variant.with_knobs(idle_s=86_400, max_connections=max(15_000, idle + 1000))) as engine:
        before_kib = memory_kib(engine)
        began = time.monotonic()
        with idle_connections(engine.port, idle) as clients:
            until(lambda: engine.held() == idle, "all idle connections are held", TIMEOUT_S)
            accept_s = time.monotonic() - began
            assert clients.read_line() == "held"
            errors = clients.request_all()
            assert engine.process.poll() is None, engine.stderr()
            each_kib = (memory_kib(engine) - before_kib) / idle
            idle_cores = idle_cpu(engine)
            loaded = wrk(engine.port, connections, seconds, cpu=None)
            assert clients.read_line() == "waits"
            errors += loaded.errors + clients.request_all()
        costs = f"{accept_s:8.2f} s {each_kib:10.1f} KiB {100 * idle_cores:9.2f} %"
        print(f"{variant.name:28} {costs} {loaded.rate:12,.0f} {errors:8}", flush=True)
        return errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--model", choices=list(model_modules()), help="only this one")
    parser.add_argument("--hold", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.hold:
        return hold(args.hold, args.idle)
    require("wrk")
    errors = 0
    print(
        f"{args.idle:,} idle, {args.connections} active; 'accepted' includes the start of the client process"
    )
    print(
        f"{'':28} {'accepted':>10} {'per idle one':>14} {'idle CPU':>11} {'active req/s':>12} {'errors':>8}"
    )
    for variant in (variant for variant in VARIANTS if args.model in (None, variant.model)):
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:28} skipped: {reason}")
        else:
            errors += measure(variant, args.idle, args.connections, args.seconds)
    if errors:
        raise SystemExit(f"{errors} errors")


if __name__ == "__main__":
    main()
