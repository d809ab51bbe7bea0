"""An engine of several processes is one engine to the lab: its numbers are sums, its place is that of all of them.

What CPU the ledger counts for all of them is in tests/measure/app/test_engine_cpu.py.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.driver import LabMaker, LabProcess, command_line, endless, gone, light, until

WORK = [{"kind": "cpu", "params": {"us": 500}}]
two_cpus = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on one CPU nothing is split")


def sample(lab: LabProcess, engine: Any) -> Any:
    return lab.get(f"/engines/{engine['id']}/sample")


def pids(lab: LabProcess, engine: Any, role: str = "worker") -> set[int]:
    return {thread["pid"] for thread in sample(lab, engine)["threads"] if thread["role"] == role}


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(lab: LabProcess) -> float:
    series = r'^threadlab_engine_cpu_seconds_total\{model="prefork"\} (\S+)'
    found = re.search(series, lab.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_sample_is_of_all_its_processes(lab: LabProcess) -> None:
    engine = lab.start("prefork", processes=3)
    workers = until(
        lambda: found if len(found := pids(lab, engine)) == 3 else None, "three processes are seen"
    )
    assert pids(lab, engine, "master") == {engine["pid"]} and engine["pid"] not in workers
    assert all(f"engines {engine['model']}" in command_line(pid) for pid in workers)
    assert sample(lab, engine)["thread_count"] == 4
    everyone = (engine["pid"], *workers)
    until(
        lambda: sample(lab, engine)["rss_bytes"] > 0.9 * sum(map(rss, everyone)), "their memory is added up"
    )
    until(
        lambda: all(t["cpu_percent"] is not None for t in sample(lab, engine)["threads"]),
        "each has its CPU time",
    )


@two_cpus
def test_a_run_puts_all_of_them_in_its_place_and_counts_the_threads_of_all(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    workers = until(lambda: found if len(found := pids(lab, engine)) == 2 else None, "both are seen")
    before = {pid: os.sched_getaffinity(pid) for pid in workers}
    run = lab.submit(engine=engine["id"], plan=endless(work=WORK))
    lab.measuring(run["id"], responses=100)
    split = set(lab.get("/system")["engine_cpus"])
    assert split < os.sched_getaffinity(0)
    everyone = (engine["pid"], *workers)
    until(lambda: all(os.sched_getaffinity(pid) == split for pid in everyone), "all are in their place")
    view = lab.stop(run["id"])
    until(lambda: {pid: os.sched_getaffinity(pid) for pid in workers} == before, "they are back")
    assert view["state"] == "stopped"
    assert view["ledger"]["cpu_us"] > 0
    assert view["ledger"]["involuntary_switches"] is not None and view["ledger"]["threads_peak"] == 3


def test_a_killed_worker_is_replaced_in_its_place_and_told_in_the_log(lab: LabProcess) -> None:
    engine = lab.post("/engines", {"model": "prefork", "cpus": [min(os.sched_getaffinity(0))]}).json()
    lab.run(engine=engine["id"], plan=light(work=WORK))
    workers = pids(lab, engine)
    used = until(lambda: cpu_seconds(lab), "CPU time is counted")
    victim = max(workers)
    os.kill(victim, signal.SIGKILL)
    now = until(
        lambda: found if len(found := pids(lab, engine)) == 2 and victim not in found else None,
        "it is replaced",
    )
    assert len(now - workers) == 1
    assert all(os.sched_getaffinity(pid) == {min(os.sched_getaffinity(0))} for pid in now)
    log = f"/engines/{engine['id']}/log"
    until(lambda: any("was killed (SIGKILL)" in line for line in lab.get(log)), "its log says so")
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
    assert httpx.get(engine["url"]).status_code == 200
    assert cpu_seconds(lab) >= used, "a counter never falls"
    used_now = until(
        lambda: [used for used in [sample(lab, engine)["cpu_percent"]] if used is not None], "its CPU"
    )
    assert used_now[0] >= 0


def test_force_leaves_none_of_them(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    workers = until(lambda: found if len(found := pids(lab, engine)) == 2 else None, "both are seen")
    for pid in (engine["pid"], *workers):
        os.kill(pid, signal.SIGSTOP)
    view = lab.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True}).json()
    assert (view["state"], view["exit"]["signal"]) == ("stopped", "SIGKILL")
    until(lambda: all(gone(pid) for pid in workers), "every process is gone")


def test_kill_of_the_control_plane_leaves_none_of_them(make_lab: LabMaker) -> None:
    lab = make_lab()
    engine = lab.start("prefork", processes=4)
    until(lambda: len(pids(lab, engine)) == 4, "all are seen")
    assert len(lab.others()) == 5
    lab.kill()
    until(lambda: not lab.others(), "every process is gone")
