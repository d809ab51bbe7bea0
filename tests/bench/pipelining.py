"""The gain of pipelining: req/s with sixteen requests per write, against one at a time; alternated.

    python -m tests.bench.pipelining [--trials 3] [--seconds 2]

An engine that sends the responses of a batch with one call should be at least three times as fast.
"""

from __future__ import annotations

import argparse
import statistics

from tests.engines.driver import VARIANTS

from .servers import Server, engine, nginx, require, wrk

GAIN_MIN = 3.0


def gain(server: Server, seconds: float) -> tuple[float, float]:
    """Return req/s, plain and pipelined."""
    with server.serve() as serving:
        wrk(serving.port, 64, 1)
        return wrk(serving.port, 64, seconds).rate, wrk(serving.port, 64, seconds, pipelined=True).rate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    require("wrk", "taskset", cpus=2)
    print(f"{'16-deep pipelining':32} {'req/s':>9} {'pipelined':>10}   gain")
    for server in (nginx(), *map(engine, VARIANTS)):
        if server.missing:
            print(f"skipped: {server.name}: {server.missing}")
            continue
        found = [gain(server, args.seconds) for _ in range(args.trials)]
        plain, deep = (statistics.median(each) for each in zip(*found, strict=True))
        verdict = "" if server.name == "nginx" else "yes" if deep / plain >= GAIN_MIN else "NO"
        print(f"{server.name:32} {plain:9,.0f} {deep:10,.0f}  {deep / plain:5.2f}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
