"""An engine with several processes: its numbers are sums over them, and all of them are pinned.

tests/measure/app/test_engine_cpu.py tests the CPU time in the ledger.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.driver import LabMaker, LabProcess, command_line, endless, has_ended, light, until

WORK = [{"kind": "cpu", "params": {"us": 500}}]
two_cpus = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")


def sample(lab: LabProcess, engine: Any) -> Any:
    return lab.get(f"/engines/{engine['id']}/sample")


def pids(lab: LabProcess, engine: Any, role: str = "worker") -> set[int]:
    """Return the processes of a role. A worker that has just been forked has not stored its id yet: 0."""
    return {each["pid"] for each in sample(lab, engine)["threads"] if each["role"] == role and each["pid"]}


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(lab: LabProcess) -> float:
    series = r'^threadlab_engine_cpu_seconds_total\{model="prefork"\} (\S+)'
    found = re.search(series, lab.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_sample_covers_all_processes(lab: LabProcess) -> None:
    engine = lab.start("prefork", processes=3)
    workers = until(
        lambda: found if len(found := pids(lab, engine)) == 3 else None,
        "three worker processes are on the board",
    )
    assert pids(lab, engine, "master") == {engine["pid"]} and engine["pid"] not in workers
    assert all(f"engines {engine['model']}" in command_line(pid) for pid in workers)
    assert sample(lab, engine)["thread_count"] == 4
    all_pids = (engine["pid"], *workers)
    until(
        lambda: sample(lab, engine)["rss_bytes"] > 0.9 * sum(map(rss_bytes, all_pids)),
        "the memory of all processes is added up",
    )
    until(
        lambda: all(t["cpu_percent"] is not None for t in sample(lab, engine)["threads"]),
        "the CPU of each thread is known",
    )


@two_cpus
def test_a_run_pins_all_processes_and_counts_their_threads(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    workers = until(
        lambda: found if len(found := pids(lab, engine)) == 2 else None,
        "two worker processes are on the board",
    )
    before = {pid: os.sched_getaffinity(pid) for pid in workers}
    run = lab.submit(engine=engine["id"], plan=endless(work=WORK))
    lab.wait_measuring(run["id"], responses=100)
    split = set(lab.get("/system")["engine_cpus"])
    assert split < os.sched_getaffinity(0)
    all_pids = (engine["pid"], *workers)
    until(lambda: all(os.sched_getaffinity(pid) == split for pid in all_pids), "all processes are pinned")
    view = lab.stop(run["id"])
    until(
        lambda: {pid: os.sched_getaffinity(pid) for pid in workers} == before,
        "the earlier affinity is restored",
    )
    assert view["state"] == "stopped"
    assert view["ledger"]["cpu_us"] > 0
    assert view["ledger"]["involuntary_switches"] is not None and view["ledger"]["threads_peak"] == 3


def test_a_killed_worker_is_replaced_with_the_same_affinity_and_logged(lab: LabProcess) -> None:
    engine = lab.post("/engines", {"model": "prefork", "cpus": [min(os.sched_getaffinity(0))]}).json()
    lab.run(engine=engine["id"], plan=light(work=WORK))
    workers = pids(lab, engine)
    used_s = until(lambda: cpu_seconds(lab), "CPU time is counted")
    victim = max(workers)
    os.kill(victim, signal.SIGKILL)
    replaced = until(
        lambda: found if len(found := pids(lab, engine)) == 2 and victim not in found else None,
        "a new worker process",
    )
    assert len(replaced - workers) == 1
    assert all(os.sched_getaffinity(pid) == {min(os.sched_getaffinity(0))} for pid in replaced)
    log = f"/engines/{engine['id']}/log"
    until(
        lambda: any("was killed (SIGKILL)" in line for line in lab.get(log)), "the log has the killed worker"
    )
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
    assert httpx.get(engine["url"]).status_code == 200
    assert cpu_seconds(lab) >= used_s, "a counter never falls"
    cpu_percent = until(
        lambda: [cpu for cpu in [sample(lab, engine)["cpu_percent"]] if cpu is not None], "its CPU is known"
    )
    assert cpu_percent[0] >= 0


def test_a_forced_stop_ends_all_processes(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    workers = until(
        lambda: found if len(found := pids(lab, engine)) == 2 else None,
        "two worker processes are on the board",
    )
    for pid in (engine["pid"], *workers):
        os.kill(pid, signal.SIGSTOP)
    view = lab.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True}).json()
    assert (view["state"], view["exit"]["signal"]) == ("stopped", "SIGKILL")
    until(lambda: all(has_ended(pid) for pid in workers), "all processes have ended")


def test_a_kill_of_the_control_plane_ends_all_processes(make_lab: LabMaker) -> None:
    lab = make_lab()
    engine = lab.start("prefork", processes=4)
    until(lambda: len(pids(lab, engine)) == 4, "four worker processes are on the board")
    assert len(lab.child_pids()) == 5
    lab.kill()
    until(lambda: not lab.child_pids(), "all processes have ended")
