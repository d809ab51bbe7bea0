"""Each model and each external server that is installed, loaded by the lab and by wrk, alternated.

    python -m tests.bench.external_servers [--rounds 4] [--seconds 3] [--connections 32] [NAME:KNOB=VALUE …]

`GET /`, 13 bytes, keep-alive where the server has it. The server is on the CPUs of the placement, wrk on
that of the load generator. CPU µs/request by the lab is that of the ledger. By wrk it is the CPU time of
all processes of the engine, which this bench reads itself (`utime + stime` of `/proc/PID/stat`, with ended
children), over the requests that wrk counts. If the lab reads the server right, both differ by noise only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.compare import entry
from app.machine.cpu_placement import pin, usable_cpus
from app.machine.proc import TICK_NS
from app.servers.process_tree import ProcessTree
from tests.app.driver import LabProcess

from .servers import require, wrk

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
SERVERS = (
    "nginx",
    "granian",
    "uvicorn",
    "uvicorn:loop=asyncio,http=h11",
    "node",
    "waitress",
    "gunicorn:worker_class=sync",
    "gunicorn:worker_class=gthread,threads=8",
    "gunicorn:worker_class=gevent",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One load of one server."""

    per_s: float
    cpu_us: float
    errors: int


def main() -> int:
    """Measure, and print a table. Returns 1 if a load counted an error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=[*MODELS, *SERVERS])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    args = parser.parse_args()
    require("wrk")
    found: defaultdict[str, list[tuple[Measured, Measured]]] = defaultdict(list)
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LabProcess(Path(folder))) as lab:
        for number in range(args.rounds):
            for name in args.names:
                with started(lab, name) as engine:
                    versions[name] = engine["version"] or f"Python {engine['python']}"
                    found[name].append(by_both(lab, engine, args, lab_first=number % 2 == 0))
    print_table(found, versions)
    return any(each.errors for pairs in found.values() for pair in pairs for each in pair)


@contextlib.contextmanager
def started(lab: LabProcess, name: str) -> Iterator[Any]:
    """Start an engine, and stop it at the end."""
    parsed = entry(name)
    kind = "model" if parsed["model"] in MODELS else "server"
    engine = lab.post("/engines", {kind: parsed["model"], "knobs": parsed["knobs"]}).json()
    try:
        yield engine
    finally:
        lab.http.delete(f"/api/v1/engines/{engine['id']}")


def by_both(
    lab: LabProcess, engine: Any, args: argparse.Namespace, lab_first: bool
) -> tuple[Measured, Measured]:
    """Load the engine by the lab and by wrk; the second one finds a server that is warm."""
    if lab_first:
        return by_lab(lab, engine, args), by_wrk(engine, args)
    measured = by_wrk(engine, args)
    return by_lab(lab, engine, args), measured


def by_lab(lab: LabProcess, engine: Any, args: argparse.Namespace) -> Measured:
    """Load the engine by a run of the lab."""
    plan = {"vus": args.connections, "duration_s": args.seconds, "warmup_s": 1}
    run = lab.run(engine=engine["id"], plan=plan)
    summary = run["summary"]
    return Measured(summary["achieved_per_s"], run["ledger"]["cpu_us"], sum(summary["errors"].values()))


def by_wrk(engine: Any, args: argparse.Namespace) -> Measured:
    """Load the engine by wrk, on the same CPUs."""
    pids = family(engine["pid"])
    cpus = usable_cpus()
    if len(cpus) > 1:
        for pid in pids:
            pin(pid, cpus[:-1])
    wrk(engine["port"], args.connections, 1)
    before = cpu_ns(family(engine["pid"]))
    done = wrk(engine["port"], args.connections, args.seconds)
    used = cpu_ns(family(engine["pid"])) - before
    return Measured(done.rate, used / 1000 / done.requests, done.errors)


def family(first: int) -> tuple[int, ...]:
    """Return a process and all of its descendants."""
    return (first, *ProcessTree(first).refresh())


def cpu_ns(pids: tuple[int, ...]) -> int:
    """Return user and system time of processes and of their ended children."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) * TICK_NS
    return total


def print_table(found: dict[str, list[tuple[Measured, Measured]]], versions: dict[str, str]) -> None:
    """Print the medians of all rounds, and the median of the ratios within a round."""
    print(f"{os.uname().release}, medians of {max(map(len, found.values()))} rounds")
    print("| server | version | req/s, lab | req/s, wrk | CPU µs/req, lab | wrk | lab ÷ wrk |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, pairs in found.items():
        median = [
            [statistics.median(getattr(pair[i], figure) for pair in pairs) for i in range(2)]
            for figure in ("per_s", "cpu_us")
        ]
        ratio = statistics.median(lab.cpu_us / by_wrk.cpu_us for lab, by_wrk in pairs)
        (lab_s, wrk_s), (lab_us, wrk_us) = median
        cells = (name, versions[name], f"{lab_s:,.0f}", f"{wrk_s:,.0f}", f"{lab_us:.1f}", f"{wrk_us:.1f}")
        print(f"| {' | '.join(cells)} | {ratio:.2f} |")


if __name__ == "__main__":
    raise SystemExit(main())
