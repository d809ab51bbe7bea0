"""The export of a history of 20,000 runs: time to the first byte and in total, memory, and health checks.

    python -m tests.bench.export [--runs 20000]

One run is made and copied in the database. Meanwhile `/healthz` is requested: an export must not stop the
control plane. Exit code 1 if the first byte takes more than 1 s, or the memory grows by more than 64 MiB.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import httpx

from tests.app.driver import LabProcess

FIRST_BYTE_MAX_S = 1.0
GROWTH_MAX_MIB = 64.0
PLAN = {"executor": "constant-vus", "vus": 4, "duration_s": 1.0, "warmup_s": 0.0}


def fill(folder: Path, runs: int) -> None:
    """Make one run, and copy it until there are so many."""
    with contextlib.closing(LabProcess(folder)) as lab:
        lab.run(engine=lab.start("reactor")["id"], plan=PLAN)
        lab.clean_up()
    path = folder / "threadlab.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        columns = [
            row[1] for row in database.execute("pragma table_info(runs)") if row[1] not in ("id", "view")
        ]
        names = ", ".join(columns)
        database.execute(
            f"with recursive ids(n) as (select 2 union all select n + 1 from ids where n < ?) "
            f"insert into runs (id, view, {names}) "
            f"select n, json_set(view, '$.id', n), {names} from ids, runs where runs.id = 1",
            (runs,),
        )


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def slowest_health_check(url: str, done: threading.Event, into: list[float]) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        while not done.wait(0.02):
            began_s = time.perf_counter()
            client.get("/healthz").raise_for_status()
            into.append(time.perf_counter() - began_s)


def export(lab: LabProcess, kind: str) -> bool:
    """Export in one format, print a line, and return whether the limits hold."""
    done, waits = threading.Event(), [0.0]
    health = threading.Thread(target=slowest_health_check, args=(lab.url, done, waits), daemon=True)
    health.start()
    before_mib = peak_mib = rss_mib(lab.pid)
    cpu_s, began_s = time.clock_gettime((~lab.pid << 3) | 2), time.perf_counter()
    first_s, size = 0.0, 0
    with httpx.stream("GET", f"{lab.url}/api/v1/runs/export?format={kind}", timeout=60) as response:
        response.raise_for_status()
        for part in response.iter_raw():
            first_s = first_s or time.perf_counter() - began_s
            size += len(part)
            peak_mib = max(peak_mib, rss_mib(lab.pid))
    total_s, cpu_s = time.perf_counter() - began_s, time.clock_gettime((~lab.pid << 3) | 2) - cpu_s
    done.set()
    health.join()
    print(
        f"{kind:6} {size / 2**20:7.1f} MiB  first byte {first_s:5.2f} s  total {total_s:5.2f} s  "
        f"CPU {cpu_s:5.2f} s  memory +{peak_mib - before_mib:.0f} MiB  slowest health check "
        f"{max(waits) * 1000:.0f} ms (n = {len(waits) - 1})",
        flush=True,
    )
    return first_s <= FIRST_BYTE_MAX_S and peak_mib - before_mib <= GROWTH_MAX_MIB


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), runs)
        print(f"{runs:,} runs")
        with contextlib.closing(LabProcess(Path(folder))) as lab:
            kept = [export(lab, kind) for kind in ("csv", "json", "jsonl")]
    if not all(kept):
        raise SystemExit(f"limits: first byte {FIRST_BYTE_MAX_S} s, memory +{GROWTH_MAX_MIB:.0f} MiB")


if __name__ == "__main__":
    main()
