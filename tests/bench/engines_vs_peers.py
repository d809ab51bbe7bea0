"""CPU µs/request, p50 and p99 of every engine, nginx and uvicorn, alternated: A B C A B C.

    python -m tests.bench.engines_vs_peers [--trials 3] [--seconds 3] [--connections 64 512] [--bytes 0 4096]
        [--peers]

`GET /`, 13 bytes, keep-alive; with `--bytes 4096` also `GET /bytes?n=4096`, for which the peers return a
constant. `--peers` adds Node and every other Python server that is installed. The server is pinned to CPU 0,
wrk to CPU 1. CPU is the user and system time of all threads of the server while wrk runs (after a warm-up of
one second), divided by the requests that wrk counts. Absolute rates of a small machine drift, so trust the
ratios within one run. Exit code 1 if wrk counts an error from an engine.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from tests.engines.driver import Variant

from .python_peers import PEERS
from .servers import Server, engine, nginx, node, python_peer, require, uvicorn, wrk


class Point(NamedTuple):
    """A load: so many connections, and the size of the body; 0: `GET /`."""

    connections: int
    body_bytes: int = 0

    @property
    def path(self) -> str:
        return f"/bytes?n={self.body_bytes}" if self.body_bytes else "/"

    def __str__(self) -> str:
        body = f"{self.body_bytes} bytes" if self.body_bytes else "plaintext"
        return f"{self.connections} connections, {body}"


ORDINARY, CROWDED = Point(64), Point(512)


@dataclass(frozen=True)
class Contestant:
    """A server, with limit and target of its CPU per request with 64 connections, and the limit of its p99
    with 512, as multiples of nginx's.
    """

    server: Server
    limit: float | None = None
    target: float | None = None
    p99_limit: float | None = None

    def limits(self, point: Point) -> tuple[float | None, float | None, float | None]:
        """Return the three limits that apply to a load."""
        cost = (self.limit, self.target) if point == ORDINARY else (None, None)
        return *cost, self.p99_limit if point == CROWDED else None


CONTESTANTS = (
    Contestant(nginx()),
    Contestant(engine(Variant("blocking")), 1.9, 1.7),
    Contestant(engine(Variant("reactor")), 1.25, 1.15),
    Contestant(engine(Variant("reactor-pool")), 1.9, 1.6, p99_limit=2.0),
    Contestant(engine(Variant("main-sub", (("reactors", 2), ("workers", 0)))), 1.3, 1.2),
    Contestant(engine(Variant("main-sub")), p99_limit=2.0),
    Contestant(engine(Variant("proactor")), 1.25, 1.15),
    Contestant(engine(Variant("prefork"))),
    Contestant(uvicorn()),
)
OTHERS = (Contestant(node()), *(Contestant(python_peer(name)) for name in PEERS))


@dataclass(frozen=True)
class Trial:
    rate: float
    cpu_us: float
    errors: int
    p50_ms: float
    p99_ms: float


Trials = dict[Point, dict[str, list[Trial]]]


def trials(server: Server, points: Iterable[Point], seconds: float) -> list[Trial]:
    """Start the server, and measure it under each load in turn."""
    measured = []
    with server.serve() as serving:
        wrk(serving.port, ORDINARY.connections, 1)
        for point in points:
            before = serving.cpu_s()
            loaded = wrk(serving.port, point.connections, seconds, point.path)
            cpu_us = (serving.cpu_s() - before) / loaded.requests * 1e6
            measured.append(Trial(loaded.rate, cpu_us, loaded.errors, loaded.p50_ms, loaded.p99_ms))
    return measured


def compare(
    contestants: Sequence[Contestant], number: int, seconds: float, points: Sequence[Point]
) -> Trials:
    found: Trials = {point: defaultdict(list) for point in points}
    servers = [contestant.server for contestant in contestants]
    for server in servers:
        if server.missing:
            print(f"skipped: {server.name}: {server.missing}")
    for _ in range(number):
        for server in servers:
            if not server.missing:
                for point, trial in zip(points, trials(server, points, seconds), strict=True):
                    found[point][server.name].append(trial)
    return found


def median(trials: Sequence[Trial], name: str) -> float:
    return float(statistics.median(getattr(trial, name) for trial in trials))


def show(contestants: Sequence[Contestant], point: Point, found: dict[str, list[Trial]]) -> None:
    print(
        f"\n{f'{point}':32} {'req/s':>9}  {'CPU µs/req (lowest-highest)':27}  x nginx  {'limit':13}"
        f"{'target':13}  p50 ms   p99 ms  limit"
    )
    nginx_trials = found.get("nginx")
    for contestant in contestants:
        trials = found.get(contestant.server.name)
        if not trials:
            continue
        limit, target, p99_limit = contestant.limits(point)
        cost, p99_ms = median(trials, "cpu_us"), median(trials, "p99_ms")
        costs = [trial.cpu_us for trial in trials]
        ratio = cost / median(nginx_trials, "cpu_us") if nginx_trials else None
        p99_ratio = p99_ms / median(nginx_trials, "p99_ms") if nginx_trials else None
        spread = f"{cost:6.2f} ({min(costs):.2f}-{max(costs):.2f})"
        errors = sum(trial.errors for trial in trials)
        print(
            f"{contestant.server.name:32} {median(trials, 'rate'):9,.0f}  {spread:27}".ljust(74)
            + (f"{ratio:5.2f}  " if ratio else "    –  ")
            + f"{compared(ratio, limit)}{compared(ratio, target)}"
            + f"{median(trials, 'p50_ms'):8.2f} {p99_ms:8.2f}"
            + (f"  {compared(p99_ratio, p99_limit)}" if p99_limit else "")
            + (f"  {errors} errors" if errors else ""),
            flush=True,
        )


def compared(ratio: float | None, limit: float | None) -> str:
    if ratio is None or limit is None:
        return " " * 13
    return f"≤ {limit:.2f} {'yes' if ratio <= limit else 'NO'}".ljust(13)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--bytes", type=int, nargs="+", default=[0], help="body sizes; 0: plaintext")
    parser.add_argument("--peers", action="store_true", help="also Node and other Python servers")
    args = parser.parse_args()
    contestants = (*CONTESTANTS, *OTHERS) if args.peers else CONTESTANTS
    points = [Point(connections, size) for size, connections in product(args.bytes, args.connections)]
    require("wrk", "taskset", cpus=2)
    print(f"{args.trials} trials of {args.seconds:.0f} s each, alternated; medians")
    found = compare(contestants, args.trials, args.seconds, points)
    for point in points:
        show(contestants, point, found[point])
    ours = {each.server.name for each in CONTESTANTS}
    errors = {
        (str(point), name): total
        for point, by_name in found.items()
        for name, each in by_name.items()
        if name in ours and (total := sum(trial.errors for trial in each))
    }
    if errors:
        raise SystemExit(f"wrk counted errors: {errors}")


if __name__ == "__main__":
    main()
