"""The cost of viewers: the CPU per request of an engine, and the CPU of the control plane.

    python -m tests.bench.observing [--pairs 10] [--seconds 2] [--rate 4000] [--model reactor]

Measured in alternated pairs at one offered rate, so that a slow minute affects both sides:
  watching   five viewers at 10 Hz (threads and connections), against none and a lab that is stopped (SIGSTOP)
  tracing    the same viewers with lanes, against without
  control    CPU of the control plane in % of a core: five engines, 1,000 threads and five viewers; then five
             models with 32 idle connections each and one viewer, as in one open tab

The engine runs on CPU 0; generator, lab and viewers share CPU 1. A median is printed with its 97.9 %
confidence interval (ten pairs: from the second lowest to the second highest). Exit code 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.app.driver import LabProcess, until
from tests.engines.driver import ROOT

from .servers import LOAD_CPU, SERVER_CPU, require

VIEWERS = 5
WATCHING_MAX, CROWD_MAX, ORDINARY_MAX = 3.0, 25.0, 10.0  # %
CROWD, CLIENTS = ("blocking",) * 5, 199  # 1,000 threads, including the acceptors
MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "prefork")


@contextlib.contextmanager
def viewers(lab: LabProcess, number: int, **wants: Any) -> Iterator[None]:
    """Open live connections that read every frame and discard it."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            page = stack.enter_context(
                connect(f"ws{lab.url[4:]}/ws/v1/live", max_size=None, ping_interval=None)
            )
            page.send(json.dumps({"type": "subscribe", "interval_ms": 100, **wants}))
            threading.Thread(target=_read_all, args=(page,), daemon=True).start()
        yield


def _read_all(page: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            page.recv(decode=False)


class ObservedEngine:
    """An engine of a lab, alone on its CPU."""

    def __init__(self, lab: LabProcess, model: str, rate: float, seconds: float) -> None:
        self.lab, self.rate, self.seconds = lab, rate, seconds
        response = lab.post("/engines", {"model": model, "cpus": [SERVER_CPU]})
        assert response.status_code == 201, response.text
        self.engine: Any = response.json()
        self.load()  # warm-up

    def load(self) -> None:
        plan = {
            "executor": "constant-arrival-rate",
            "rate_per_s": self.rate,
            "vus": 32,
            "duration_s": self.seconds,
            "warmup_s": 0,
        }
        job = {"host": "127.0.0.1", "port": self.engine["port"], "plan": plan, "cpus": [LOAD_CPU]}
        command = [sys.executable, "-m", "app.load"]
        subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True, cwd=ROOT)

    def requests(self) -> int:
        """Return the requests that the engine has counted, from a sample taken after this call."""
        now_s = time.monotonic()

        def fresh() -> Any:
            sample = self.lab.get(f"/engines/{self.engine['id']}/sample")
            return sample if sample["t_s"] > now_s else None

        return int(until(fresh, "a new sample")["requests"])

    def cpu_s(self) -> float:
        pids = {thread["pid"] for thread in self.lab.get(f"/engines/{self.engine['id']}/sample")["threads"]}
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in {self.engine["pid"], *pids})

    def cost_us(self, frozen: bool = False) -> float:
        """Return the CPU µs/request of one load. If `frozen`, the lab is stopped meanwhile."""
        requests, cpu_s = self.requests(), self.cpu_s()
        if frozen:
            os.kill(self.lab.pid, signal.SIGSTOP)
        try:
            self.load()
        finally:
            if frozen:
                os.kill(self.lab.pid, signal.SIGCONT)
        return (self.cpu_s() - cpu_s) / (self.requests() - requests) * 1e6


def pairs(
    number: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure both sides in turn, reversing the order with each pair."""
    ones, others = [], []
    for each in range(number):
        if each % 2:
            others.append(other())
            ones.append(one())
        else:
            ones.append(one())
            others.append(other())
    return ones, others


def print_difference(name: str, without: list[float], with_: list[float]) -> float:
    """Print one line. Return the median difference in %."""
    differences = sorted(100 * (b - a) / a for a, b in zip(without, with_, strict=True))
    skip = 1 if len(differences) >= 8 else 0
    low, high = differences[skip], differences[-1 - skip]
    median = statistics.median(differences)
    print(
        f"{name:10} {statistics.median(without):7.2f} → {statistics.median(with_):7.2f} CPU µs/request   "
        f"{median:+.2f} % ({low:+.2f} to {high:+.2f}), n = {len(differences)} pairs",
        flush=True,
    )
    return median


def watching(engine: ObservedEngine, number: int) -> float:
    def observed() -> float:
        with viewers(engine.lab, VIEWERS, engines="all", threads=True, connections=True):
            return engine.cost_us()

    return print_difference("watching", *pairs(number, lambda: engine.cost_us(frozen=True), observed))


def tracing(engine: ObservedEngine, number: int) -> float:
    def observed(trace: bool) -> float:
        with viewers(engine.lab, VIEWERS, engines="all", threads=True, connections=True, trace=trace):
            return engine.cost_us()

    return print_difference("tracing", *pairs(number, lambda: observed(False), lambda: observed(True)))


SUBSCRIPTIONS = (("threads",), ("threads", "connections"), ("threads", "connections", "trace"))


def control(lab: LabProcess, seconds: float, models: Sequence[str], clients: int, number: int) -> list[float]:
    """Print the CPU of the control plane in % of a core for each subscription of `number` viewers.

    One engine of each model, each with so many idle clients. Returns the percentages.
    """
    percent = []
    with contextlib.ExitStack() as stack:
        for model in models:
            port = lab.start(model, idle_s=600)["port"]
            for _ in range(clients):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for wants in SUBSCRIPTIONS:
            with viewers(lab, number, engines="all", **dict.fromkeys(wants, True)):
                time.sleep(1)
                began_s, cpu_s = time.monotonic(), time.clock_gettime((~lab.pid << 3) | 2)
                time.sleep(seconds)
                used_s = time.clock_gettime((~lab.pid << 3) | 2) - cpu_s
                percent.append(100 * used_s / (time.monotonic() - began_s))
            alive = [each["id"] for each in lab.get("/engines") if each["exit"] is None]
            threads = sum(len(lab.get(f"/engines/{id}/sample")["threads"]) for id in alive)
            print(
                f"control    {percent[-1]:5.1f} % of a core: {len(models)} engines, {threads:,} threads, "
                f"viewers at 10 Hz: {number} ({', '.join(wants)})",
                flush=True,
            )
    lab.clean_up()
    return percent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rate", type=float, default=4000)
    parser.add_argument("--model", default="reactor")
    args = parser.parse_args()
    require(cpus=2)
    print(f"{args.model}, plaintext at {args.rate:,.0f}/s over 32 connections; trials of {args.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabProcess(Path(folder))) as lab:
        engine = ObservedEngine(lab, args.model, args.rate, args.seconds)
        for pid in (0, lab.pid):
            os.sched_setaffinity(pid, {LOAD_CPU})
        cost = watching(engine, args.pairs)
        tracing(engine, max(2, args.pairs // 2))
        lab.clean_up()
        _, crowded, _ = control(lab, args.seconds * 2, CROWD, CLIENTS, VIEWERS)
        ordinary = max(control(lab, args.seconds * 2, MODELS, 32, 1))
    if cost > WATCHING_MAX or crowded > CROWD_MAX or ordinary > ORDINARY_MAX:
        raise SystemExit(
            f"target missed: watching ≤ {WATCHING_MAX} %, control plane ≤ {CROWD_MAX} % of a core, "
            f"≤ {ORDINARY_MAX} % with one viewer"
        )


if __name__ == "__main__":
    main()
