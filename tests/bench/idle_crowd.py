"""Thousands of idle keep-alive connections, and 64 active ones beside them, on every engine.

    python -m tests.bench.idle_crowd [--idle 10000] [--connections 64] [--seconds 3] [--model reactor]

The crowd is a process of its own (one process may have 20,000 descriptors on a small machine), with several source
addresses. Each idle connection is served once when it comes and once more at the end: an error is one that was not.
The active ones are wrk's. Memory is RssAnon, so the board is not in it; nor are kernel stacks (16 KiB a thread) and
socket buffers. "At rest" is the CPU of an engine that holds them all while nobody says anything: what its timers cost.
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

OUT_OF_TIME_S = 60.0
REST_S = 5.0


def hold(port: int, size: int) -> None:
    """The crowd's process: connect, say so; when told, ask on each connection and say how many were not served."""
    allow_descriptors()
    askers = Askers(port, size)
    for asked in (1, 2):
        print("held" if asked == 1 else "waits", flush=True)
        sys.stdin.readline()
        for asker in askers.all:
            if asker.open:
                asker.ask()
        with contextlib.suppress(AssertionError):
            askers.settle(OUT_OF_TIME_S)
        served = sum(len(asker.answers) == asked and asker.answers[-1].status == 200 for asker in askers.all)
        print(size - served, flush=True)


class Crowd:
    """The parent's side of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._to, self._from = process.stdin, process.stdout

    def said(self) -> str:
        return self._from.readline().strip()

    def ask(self) -> int:
        """Each asks once; answers how many were not served."""
        self._to.write("\n")
        self._to.flush()
        return int(self.said())


@contextlib.contextmanager
def crowd(port: int, size: int) -> Iterator[Crowd]:
    command = [sys.executable, "-m", "tests.bench.idle_crowd", "--hold", str(port), "--idle", str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield Crowd(process)
        finally:
            process.kill()


def memory_kib(engine: Engine) -> int:
    return sum(map(anonymous_kib, engine.pids))


def at_rest(engine: Engine) -> float:
    """Cores that it uses while nobody says anything."""
    return cores_used(engine, lambda: time.sleep(REST_S))


def measure(variant: Variant, idle: int, connections: int, seconds: float) -> int:
    """Print one line; answers the errors."""
    with running(variant.with_knobs(idle_s=86_400, max_connections=max(15_000, idle + 1000))) as engine:
        before_kib = memory_kib(engine)
        began = time.monotonic()
        with crowd(engine.port, idle) as them:
            until(lambda: engine.held() == idle, "the crowd is held", OUT_OF_TIME_S)
            accept_s = time.monotonic() - began
            assert them.said() == "held"
            errors = them.ask()
            assert engine.process.poll() is None, engine.stderr()
            each_kib = (memory_kib(engine) - before_kib) / idle
            rest = at_rest(engine)
            loaded = wrk(engine.port, connections, seconds, cpu=None)
            assert them.said() == "waits"
            errors += loaded.errors + them.ask()
        costs = f"{accept_s:8.2f} s {each_kib:10.1f} KiB {100 * rest:9.2f} %"
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
    asked = parser.parse_args()
    if asked.hold:
        return hold(asked.hold, asked.idle)
    require("wrk")
    errors = 0
    print(
        f"{asked.idle:,} idle, {asked.connections} active; the crowd's own process start is in the time to accept"
    )
    print(f"{'':28} {'accepted':>10} {'per idle one':>14} {'at rest':>11} {'active req/s':>12} {'errors':>8}")
    for variant in (variant for variant in VARIANTS if asked.model in (None, variant.model)):
        if reason := model_modules()[variant.model].MODEL.why_unavailable():
            print(f"{variant.name:28} skipped: {reason}")
        else:
            errors += measure(variant, asked.idle, asked.connections, asked.seconds)
    if errors:
        raise SystemExit(f"{errors} errors")


if __name__ == "__main__":
    main()
