"""CPU µs/request of the generator and of wrk, both loading nginx. Target: at most 1.15 of wrk's.

    python -m tests.bench.load_vs_wrk [--trials 5] [--seconds 3] [--connections 64]

nginx runs on CPU 0, the generators on CPU 1. The two alternate, so that a slow minute affects both. CPU is
the user and system time of a generator while it sends. Prints only, without an exit code.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
from typing import Any

from app.load.protocol.outcome import Outcome
from tests.engines.driver import ROOT

from .servers import LOAD_CPU, nginx, require


def wrk(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """Run wrk. Return req/s and CPU µs/request."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["taskset", "-c", str(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s"]
    out = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in ([\d.]+)s", out)
    assert found, out
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]) / float(found[2]), used / int(found[1]) * 1e6


def ours(port: int, **plan: Any) -> Outcome:
    job_json = {"host": "127.0.0.1", "port": port, "plan": {"warmup_s": 0.5, **plan}, "cpus": [LOAD_CPU]}
    command = [sys.executable, "-m", "app.load"]
    done = subprocess.run(
        command, input=json.dumps(job_json), capture_output=True, text=True, check=True, cwd=ROOT
    )
    outcome = Outcome.from_json(json.loads(done.stdout))
    assert not outcome.errors, outcome.errors
    return outcome


def cpu_us(outcome: Outcome) -> float:
    return (outcome.cpu_user_s + outcome.cpu_system_s) / outcome.requests * 1e6


def closed(port: int, trials: int, seconds: float, connections: int) -> None:
    wrk_trials, our_trials = [], []
    for _ in range(trials):
        wrk_trials.append(wrk(port, connections, seconds))
        outcome = ours(port, vus=connections, duration_s=seconds)
        our_trials.append((outcome.requests / outcome.duration_s, cpu_us(outcome)))
    print(
        f"closed model, {connections} connections, {trials} trials of {seconds:.0f} s, "
        "median (lowest-highest)"
    )
    for name, trial in (("wrk", wrk_trials), ("app.load", our_trials)):
        rates, costs = zip(*trial, strict=True)
        print(f"  {name:9} {_range(rates, ',.0f')} req/s   {_range(costs, '.2f')} CPU µs/request")
    ratio = statistics.median(cost for _, cost in our_trials) / statistics.median(
        cost for _, cost in wrk_trials
    )
    print(f"  CPU per request, ours / wrk: {ratio:.2f}")


def _range(values: tuple[float, ...], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    require("wrk", "nginx", cpus=2)
    with nginx().serve() as serving:
        closed(serving.port, args.trials, args.seconds, args.connections)


if __name__ == "__main__":
    main()
