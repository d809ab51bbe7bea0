"""Accuracy of the generator's latencies on a quiet machine: known service times, a stall, Little's law.

    python -m tests.bench.load_truth [--seconds 5] [--model blocking]

(a) `sleep` work of an engine, and a test server that sleeps by a known distribution and records the times:
    p50 and p90 within 2 % or 100 µs of the known value. For an engine, the known value is the duration of the
    same sleep in a thread of this process, without and with the round trip (the service time of `plaintext`).
(b) SIGSTOP for 500 ms in an open load: the response times match the schedule within 5 %. Also
    printed: the same stall in service time, and in a closed load.
(c) N = X·R (Little's law) within 3 % on ten unsaturated runs.

Servers run on CPU 0, the generator on CPU 1. Prints only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.results.summary import little_residual
from tests.engines.driver import ROOT, Variant, running
from tests.load.server import Server, ok

from .load_vs_wrk import ours
from .servers import LOAD_CPU, SERVER_CPU, engine, require

OPEN = {"executor": "constant-arrival-rate"}
STALL_S = 0.5
TOLERANCE, TOLERANCE_US = 0.02, 100.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--model", default="blocking")
    args = parser.parse_args()
    require("taskset", cpus=2)
    known_distribution(args.seconds)
    sleep_of_an_engine(args.model, args.seconds)
    stall(args.seconds)
    littles_law(args.model, args.seconds)


def quantile(outcome: Outcome, clock: str, q: float) -> float:
    total = histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)
    return float(total.get_value_at_percentile(100 * q))


def compare(what: str, measured: float, known: float) -> None:
    off = measured - known
    good = abs(off) <= max(TOLERANCE * known, TOLERANCE_US)
    print(
        f"  {what:34} known {known:9,.0f} µs  measured {measured:9,.0f} µs  "
        f"{off:+7.0f} µs {off / known:+7.2%}  {_word(good)}"
    )


def _word(good: bool) -> str:
    return "ok" if good else "OFF"


def known_distribution(seconds: float) -> None:
    """Compare with a server whose service times are log-normal around 10 ms and recorded by its own clock."""
    generator = random.Random(5)

    def handler(_path: str, _body: bytes) -> bytes:
        time.sleep(min(0.2, generator.lognormvariate(-4.6, 0.6)))
        return ok()

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CPU})  # inherited by its threads; the load generator pins itself
    try:
        with contextlib.closing(Server(handler)) as server:
            outcome = ours(server.port, rate_per_s=200.0, vus=64, duration_s=seconds, warmup_s=0.0, **OPEN)
            truth = sorted(server.took_us)
    finally:
        os.sched_setaffinity(0, before)
    print("(a) test server, log-normal around 10 ms, by its own clock")
    for q in (0.5, 0.9, 0.99):
        compare(
            f"service p{100 * q:g}, n {len(truth):,}",
            quantile(outcome, "service", q),
            truth[int(q * len(truth))],
        )


def sleep_of_an_engine(model: str, seconds: float) -> None:
    print(f"(a) sleep work of {model}")
    plan = {"rate_per_s": 100.0, "vus": 32, "duration_s": seconds, **OPEN}
    with engine(Variant(model)).serve() as serving:
        round_trip_us = quantile(ours(serving.port, **plan), "service", 0.5)
        print(f"  {'round trip, p50':34} {round_trip_us:,.0f} µs")
        for ms in (2, 10, 50):
            outcome = ours(serving.port, work=[{"kind": "sleep", "params": {"ms": ms}}], **plan)
            slept = sleep_us(ms)
            for q in (0.5, 0.9):
                measured, known = quantile(outcome, "service", q), slept[int(q * len(slept))]
                compare(f"sleep {ms} ms: service p{100 * q:g}", measured, known)
                compare("  with the round trip", measured, known + round_trip_us)


def sleep_us(ms: int) -> list[float]:
    """Return the sorted durations of 100 sleeps of `ms` in this process, which are never exactly `ms`."""
    took: list[float] = []

    def sleep() -> None:
        os.sched_setaffinity(0, {SERVER_CPU})
        for _ in range(100):
            began = time.monotonic_ns()
            time.sleep(ms / 1000)
            took.append((time.monotonic_ns() - began) / 1000)

    thread = threading.Thread(target=sleep)
    thread.start()
    thread.join()
    return sorted(took)


def stall(seconds: float) -> None:
    """Stop the engine for half a second in the middle: each request due in that time waits until its end."""
    rate = 1_000.0
    open_plan = {**OPEN, "rate_per_s": rate, "vus": 64, "duration_s": seconds, "warmup_s": 0.0}
    print(f"(b) a stall of {STALL_S * 1e3:.0f} ms in {seconds:g} s at {rate:,.0f}/s")
    outcome, from_ns, to_ns = stalled(open_plan)
    due = [outcome.measured_from_ns + int(number * 1e9 / rate) for number in range(outcome.intended or 0)]
    waited = sorted((to_ns - at) / 1000 for at in due if from_ns <= at < to_ns)
    known = [0.0] * (len(due) - len(waited)) + waited
    for q in (0.95, 0.99, 0.999, 1.0):
        measured, right = quantile(outcome, "response", q), known[min(len(known) - 1, int(q * len(known)))]
        if right:
            name = f"response p{100 * q:g}" if q < 1 else "response max"
            print(
                f"  {name:34} known {right:9,.0f} µs  measured {measured:9,.0f} µs  "
                f"{measured / right - 1:+7.2%}  "
                f"{_word(abs(measured / right - 1) <= 0.05)}"
            )
    print(f"  {'service p99 of the same run':34} {quantile(outcome, 'service', 0.99):,.0f} µs")
    closed, _, _ = stalled({"vus": 4, "think_time_ms": 4.0, "duration_s": seconds, "warmup_s": 0.0})
    print(
        f"  {'p99 of a closed load':34} {quantile(closed, 'response', 0.99):,.0f} µs: does not show the stall"
    )


def stalled(plan: dict[str, Any]) -> tuple[Outcome, int, int]:
    """Run a plan and stop the engine in the middle. Return the outcome and the times of the stall."""
    with running(Variant("reactor"), shell=f"taskset -cp {SERVER_CPU} $$ > /dev/null") as target:
        job_json = {"host": "127.0.0.1", "port": target.port, "plan": plan, "cpus": [LOAD_CPU]}
        with subprocess.Popen(
            [sys.executable, "-m", "app.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as load:
            assert load.stdin
            load.stdin.write(json.dumps(job_json))
            load.stdin.close()
            load.stdin = None
            time.sleep(plan["duration_s"] / 2)
            with target.frozen():
                from_ns = time.monotonic_ns()
                time.sleep(STALL_S)
                to_ns = time.monotonic_ns()
            out, _ = load.communicate(timeout=60)
        return Outcome.from_json(json.loads(out)), from_ns, to_ns


def littles_law(model: str, seconds: float) -> None:
    work = [{"kind": "sleep", "params": {"ms": 5}}]
    plans: list[dict[str, Any]] = [
        {"vus": vus, "think_time_ms": think} for vus in (2, 8, 32) for think in (0.0, 5.0)
    ]
    plans += [
        {**OPEN, "rate_per_s": rate, "vus": 64, "spacing": "poisson"} for rate in (50.0, 200.0, 500.0, 1000.0)
    ]
    residuals = []
    with engine(Variant(model)).serve() as serving:
        for plan in plans:
            residual = little_residual(ours(serving.port, work=work, duration_s=seconds, **plan))
            assert residual is not None
            residuals.append(residual)
    print(f"(c) N = X·R, {len(plans)} runs of {seconds:g} s with 5 ms of sleep on {model}: residuals")
    print("  " + " ".join(f"{residual:+.2%}" for residual in residuals))
    largest = max(map(abs, residuals))
    print(
        f"  largest {largest:.2%}, median {statistics.median(map(abs, residuals)):.2%}  "
        f"{_word(largest <= 0.03)}"
    )


if __name__ == "__main__":
    main()
