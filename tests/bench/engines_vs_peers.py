"""CPU µs/request of every engine, nginx and uvicorn, alternated: A B C A B C.

    python -m tests.bench.engines_vs_peers [--trials 3] [--seconds 3] [--connections 64] [--peers]

`--peers` adds every other Python server that is installed.

`GET /`, 13 bytes, keep-alive. The server is pinned to CPU 0, wrk to CPU 1. CPU is the user and system time of
all threads of the server while wrk runs (after a warm-up of one second), divided by the requests that wrk
counts. Absolute rates of a small machine drift, so trust the ratios within one run. Exit code 1 if wrk counts
an error.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.engines.driver import Variant

from .python_peers import PEERS
from .servers import Server, engine, nginx, python_peer, require, uvicorn, wrk


@dataclass(frozen=True)
class Contestant:
    """A server, and its CPU per request as a multiple of nginx's: the limit and the target."""

    server: Server
    limit: float | None = None
    target: float | None = None


CONTESTANTS = (
    Contestant(nginx()),
    Contestant(engine(Variant("blocking")), 1.9, 1.6),
    Contestant(engine(Variant("reactor")), 1.25, 1.1),
    Contestant(engine(Variant("reactor-pool")), 2.2, 1.7),
    Contestant(engine(Variant("main-sub", (("reactors", 2), ("workers", 0)))), 1.45, 1.25),
    Contestant(engine(Variant("main-sub"))),
    Contestant(engine(Variant("proactor")), 1.25, 1.1),
    Contestant(engine(Variant("prefork"))),
    Contestant(uvicorn()),
)
OTHERS = tuple(Contestant(python_peer(name)) for name in PEERS)


@dataclass(frozen=True)
class Trial:
    rate: float
    cpu_us: float
    errors: int
    p99_ms: float


def trial(server: Server, connections: int, seconds: float) -> Trial:
    with server.serve() as serving:
        wrk(serving.port, connections, 1)
        before = serving.cpu_s()
        loaded = wrk(serving.port, connections, seconds)
        cpu_us = (serving.cpu_s() - before) / loaded.requests * 1e6
        return Trial(loaded.rate, cpu_us, loaded.errors, loaded.p99_ms)


def compare(
    contestants: Sequence[Contestant], trials: int, seconds: float, connections: int
) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for contestant in contestants:
        if contestant.server.missing:
            print(f"skipped: {contestant.server.name}: {contestant.server.missing}")
    for _ in range(trials):
        for contestant in contestants:
            if not contestant.server.missing:
                server = contestant.server
                found.setdefault(server.name, []).append(trial(server, connections, seconds))
    return found


def median_cost(trials: list[Trial] | None) -> float | None:
    return statistics.median(trial.cpu_us for trial in trials) if trials else None


def show(found: dict[str, list[Trial]]) -> None:
    nginx_us = median_cost(found.get("nginx"))
    print(
        f"{'':32} {'req/s':>9}  {'CPU µs/req (lowest-highest)':27}  "
        f"x nginx  {'limit':13}{'target':13}  p99 ms"
    )
    for contestant in (*CONTESTANTS, *OTHERS):
        trials = found.get(contestant.server.name)
        cost = median_cost(trials)
        if not trials or cost is None:
            continue
        costs = [trial.cpu_us for trial in trials]
        rate = statistics.median(trial.rate for trial in trials)
        ratio = cost / nginx_us if nginx_us else None
        spread = f"{cost:6.2f} ({min(costs):.2f}-{max(costs):.2f})"
        p99_ms = statistics.median(trial.p99_ms for trial in trials)
        print(
            f"{contestant.server.name:32} {rate:9,.0f}  {spread:27}".ljust(74)
            + (f"{ratio:5.2f}  " if ratio else "    –  ")
            + f"{compared(ratio, contestant.limit)}{compared(ratio, contestant.target)}{p99_ms:8.2f}",
            flush=True,
        )


def compared(ratio: float | None, target: float | None) -> str:
    if ratio is None or target is None:
        return " " * 13
    return f"≤ {target:.2f} {'yes' if ratio <= target else 'NO'}".ljust(13)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--peers", action="store_true", help="also other Python servers that are installed")
    args = parser.parse_args()
    contestants = (*CONTESTANTS, *OTHERS) if args.peers else CONTESTANTS
    require("wrk", "taskset", cpus=2)
    print(
        f"{args.connections} connections, {args.trials} trials of {args.seconds:.0f} s each, alternated; "
        "medians"
    )
    found = compare(contestants, args.trials, args.seconds, args.connections)
    show(found)
    if errors := {
        name: total for name, trials in found.items() if (total := sum(trial.errors for trial in trials))
    }:
        raise SystemExit(f"wrk counted errors: {errors}")


if __name__ == "__main__":
    main()
