"""The generator beside wrk, both driving nginx: CPU µs per request, and how well the open model keeps its schedule.

    python tests/bench/load_vs_wrk.py [--trials 5] [--seconds 3] [--connections 64]

nginx runs on CPU 0, the generator on CPU 1; wrk and ours alternate, so that a slow minute hits both.
CPU is user + system of the generator while it loads. Prints only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from app.load import histogram  # noqa: E402
from app.load.outcome import Outcome  # noqa: E402

SERVER_CPU, LOAD_CPU = 0, 1
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log; worker_rlimit_nofile 12000;
events {{ worker_connections 10000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "Hello, World!"; }} }}
}}
"""


@contextlib.contextmanager
def nginx() -> Iterator[int]:
    """nginx on a free port, pinned; its master passes SIGTERM on to its worker."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port))
        command = ["taskset", "-c", str(SERVER_CPU), "nginx", "-p", folder, "-c", str(config), "-e", f"{folder}/log"]
        with subprocess.Popen(command) as server:
            try:
                _until_open(port)
                yield port
            finally:
                server.send_signal(signal.SIGTERM)


def _until_open(port: int) -> None:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit("nginx does not answer")


def wrk(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """Requests a second and CPU µs a request of wrk."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["taskset", "-c", str(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s"]
    out = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in ([\d.]+)s", out)
    assert found, out
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]) / float(found[2]), used / int(found[1]) * 1e6


def ours(port: int, **plan: Any) -> Outcome:
    order = {"host": "127.0.0.1", "port": port, "plan": {"warmup_s": 0.5, **plan}, "cpus": [LOAD_CPU]}
    command = [sys.executable, "-m", "app.load"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=True, cwd=ROOT)
    outcome = Outcome.from_json(json.loads(done.stdout))
    assert not outcome.errors, outcome.errors
    return outcome


def cpu_us(outcome: Outcome) -> float:
    return (outcome.cpu_user_s + outcome.cpu_system_s) / outcome.requests * 1e6


def closed(port: int, trials: int, seconds: float, connections: int) -> None:
    theirs, mine = [], []
    for _ in range(trials):
        theirs.append(wrk(port, connections, seconds))
        outcome = ours(port, vus=connections, duration_s=seconds)
        mine.append((outcome.requests / outcome.duration_s, cpu_us(outcome)))
    print(f"closed model, {connections} connections, {trials} trials of {seconds:.0f} s, median (lowest-highest)")
    for name, trial in (("wrk", theirs), ("app.load", mine)):
        rates, costs = zip(*trial, strict=True)
        print(f"  {name:9} {_range(rates, ',.0f')} req/s   {_range(costs, '.2f')} CPU µs/req")
    ratio = statistics.median(cost for _, cost in mine) / statistics.median(cost for _, cost in theirs)
    print(f"  CPU per request, ours / wrk: {ratio:.2f}")


def _range(values: tuple[float, ...], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def opened(port: int, seconds: float, connections: int) -> None:
    print("open model: rate asked, error of the rate, p99 of lateness, late (> 1 ms), p50 of service and response")
    for rate in (1_000, 10_000, 30_000):
        for spacing in ("constant", "poisson"):
            plan = {"executor": "constant-arrival-rate", "rate_per_s": rate, "spacing": spacing}
            outcome = ours(port, vus=connections, duration_s=seconds, **plan)
            # Against the schedule, not the rate: a Poisson schedule of 3 s is itself off by 1.8 % at 1,000/s.
            in_time = sum(second.sent for second in outcome.seconds if second.phase == "measure")
            error = (in_time / (outcome.intended or 1) - 1) * 100
            service = histogram.percentiles(histogram.decode(outcome.kinds[0].service))
            response = histogram.percentiles(histogram.decode(outcome.kinds[0].response))
            print(
                f"  {rate:6,}/s {spacing:8} {error:+.3f} %  {outcome.send_jitter_p99_us:5.0f} µs  {outcome.late:4}  "
                f"{service.p50_us:4.0f} / {response.p50_us:4.0f} µs  utilisation {outcome.utilisation:.2f}, "
                f"{cpu_us(outcome):.1f} CPU µs/req"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two CPUs are needed: one for nginx, one for the generator")
    with nginx() as port:
        closed(port, asked.trials, asked.seconds, asked.connections)
        opened(port, asked.seconds, asked.connections)


if __name__ == "__main__":
    main()
