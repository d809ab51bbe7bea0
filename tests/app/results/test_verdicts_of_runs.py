"""Verdicts of real runs with an injected fault.

Verdicts that depend on the speed of the machine are in tests/measure/app/test_verdicts.py, those of any
evidence in test_verdict.py.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.app.driver import LabProcess, endless, generators, light, plan, read_meter, until

CPUS = len(os.sched_getaffinity(0))


def work(kind: str, **params: int) -> list[dict[str, Any]]:
    return [{"kind": kind, "params": params}]


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def check(run: Any, what: str) -> Any:
    return next(check for check in run["verdict"]["checks"] if check["what"] == what)


def test_errors_dominate_when_handlers_exceed_the_timeout(lab: LabProcess) -> None:
    hasty = plan(0.5, 0, timeout_s=0.2, vus=4, work=work("sleep", ms=10_000))
    run = lab.run(model="blocking", knobs={"grace_s": 0}, plan=hasty, thresholds=["errors<1%", "p(50)<60s"])
    assert run["state"] == "finished"
    assert run["verdict"]["name"] == "errors_dominate" and not run["verdict"]["rankable"]
    assert run["summary"]["requests"] == 0
    assert run["summary"]["errors"] == {"timeout": run["verdict"]["evidence"]["errors"]}
    assert run["summary"]["errors"]["timeout"] == run["summary"]["failed"] >= 4
    assert run["summary"]["sent"] == run["summary"]["failed"] + run["summary"]["unfinished"]
    assert check(run, "Errors")["ok"] is False
    assert [(each["seen"], each["breached"]) for each in run["thresholds"]] == [
        ("100.00 %", True),
        ("unknown", True),
    ]


def test_degraded_when_the_engine_is_killed(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")
    run = lab.submit(engine=engine["id"], plan=endless(), thresholds=["verdict==unsaturated"])
    lab.wait_measuring(run["id"], responses=10)
    os.kill(engine["pid"], signal.SIGKILL)
    view = lab.wait_ended(run["id"])  # the run ends without a stop, as no engine is left
    assert view["state"] == "finished"
    assert view["verdict"]["name"] == "degraded" and not view["verdict"]["rankable"]
    assert "SIGKILL" in view["verdict"]["because"][0]
    assert any("SIGKILL" in mark["text"] for mark in view["marks"])
    assert view["summary"]["requests"] >= 10, "data measured until then is kept"
    assert view["thresholds"][0]["breached"]


@pytest.mark.skipif(CPUS < 2, reason="each shard needs a CPU")
def test_degraded_when_one_shard_is_killed(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless(shards=2, placement="shared"))
    lab.wait_measuring(run["id"])
    first, other = generators(lab.child_pids())
    os.kill(first, signal.SIGKILL)
    until(lambda: (meter := read_meter(other)) and meter.completed >= 10, "the other shard continues")
    view = lab.stop(run["id"])
    assert view["verdict"]["name"] == "degraded" and not view["verdict"]["rankable"]
    assert "1 of 2 load-generator processes" in view["verdict"]["because"][0]
    assert view["summary"]["requests"] >= 10, "the results of the other shard are kept"


def test_failed_when_the_only_shard_is_killed(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=endless())
    lab.wait_measuring(run["id"])
    (only,) = generators(lab.child_pids())
    os.kill(only, signal.SIGKILL)
    view = lab.wait_ended(run["id"])
    assert (view["state"], view["verdict"]["name"], view["summary"]) == ("failed", "degraded", None)
    assert "SIGKILL" in view["failure"]


def listen_overflows() -> int:
    """Return how often a listen queue of this network namespace has overflowed."""
    names, values = (
        line.split()
        for line in Path("/proc/net/netstat").read_text().splitlines()
        if line.startswith("TcpExt:")
    )
    return int(values[names.index("ListenOverflows")])


def test_kernel_drops_when_the_engine_does_not_accept(lab: LabProcess) -> None:
    engine = lab.start("reactor", backlog=1)
    churn = plan(590, 0, churn=True, vus=16, think_time_ms=20, timeout_s=60)
    run = lab.submit(engine=engine["id"], plan=churn)
    lab.wait_measuring(run["id"], responses=20)
    before = listen_overflows()
    os.kill(engine["pid"], signal.SIGSTOP)
    try:
        until(lambda: listen_overflows() > before, "the listen queue overflows")
    finally:
        os.kill(engine["pid"], signal.SIGCONT)
    view = lab.stop(run["id"])
    assert view["verdict"]["name"] == "kernel_drops" and not view["verdict"]["rankable"]
    assert view["verdict"]["evidence"]["listen_drops"] > 0
    assert check(view, "Connections dropped by the kernel")["ok"] is False


def test_requests_sent_late_by_a_paused_generator_are_counted(lab: LabProcess) -> None:
    """More connections are free than requests fall due in the pause, so each of these is sent late."""
    run = lab.submit(model="reactor", plan=endless(rate_per_s=50, vus=128))
    lab.wait_measuring(run["id"])
    (pid,) = generators(lab.child_pids())
    os.kill(pid, signal.SIGSTOP)
    try:
        began = lab.get(f"/runs/{run['id']}")["progress"]
        until(
            lambda: lab.get(f"/runs/{run['id']}")["progress"] > began + 1 / 590,
            "a second of the run",
            every_s=0.05,
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: (meter := read_meter(pid)) and meter.late >= 40, "requests due in the pause have been sent")
    view = lab.stop(run["id"])
    assert view["summary"]["late"] >= 40
    assert view["verdict"]["evidence"]["late_share"] > 0.01
    fitness = view["verdict"]["fitness"]
    raw, corrected = view["summary"]["latency"]["response"], view["summary"]["latency"]["corrected"]
    late_us = (raw["mean_us"] - corrected["mean_us"]) * view["summary"]["requests"]
    assert late_us > 8e6, (
        "50 requests fell due in that second and were sent after it, on average half a second late"
    )
    assert fitness["cpu_us"] == "The run was stopped early."


def test_server_and_client_counts_match_for_every_kind_of_load(lab: LabProcess) -> None:
    engine = lab.start("main-sub", idle_s=60)["id"]
    thinks = {"think_time_ms": 10, "timeout_s": 60}
    loads = {
        "keep-alive": plan(0.5, 0.1, **thinks),
        "churn": plan(0.5, 0, churn=True, **thinks),
        "pipeline": plan(0.5, 0, pipeline=8, vus=2, timeout_s=60, work=work("sleep", ms=5)),
        "idle": plan(0.5, 0, idle_connections=30, **thinks),
        "slow": light(slow_readers=2, slow_writers=2),
        "shards": plan(0.5, 0, shards=min(2, CPUS), placement="shared", **thinks),
    }
    for name, load in loads.items():
        run = lab.run(engine=engine, plan=load)
        evidence = run["verdict"]["evidence"]
        assert evidence["errors"] == 0, name
        assert evidence["answered"] == evidence["counted"] > 0, name
        assert check(run, "Server and client request counts match")["ok"] is True
    assert (run["placement"]["mode"], run["placement"]["engine_cpus"]) == ("shared", None)
    assert run["verdict"]["rankable"], (
        "server and load generator shared CPUs, but the load generator used less than 10 % of one"
    )


def test_degraded_when_a_worker_process_is_replaced(lab: LabProcess) -> None:
    run = lab.submit(model="prefork", knobs={"processes": 2}, plan=endless())
    lab.wait_measuring(run["id"], responses=20)
    (engine,) = [engine for engine in lab.get("/engines") if engine["exit"] is None]
    before = children(engine["pid"])
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(children(engine["pid"]) - before) == 1, "a new worker process has replaced it")
    lab.wait_next_second(run["id"])
    view = lab.stop(run["id"])
    assert (view["verdict"]["name"], view["verdict"]["rankable"]) == ("degraded", False)
    assert "a worker process ended" in [mark["text"] for mark in view["marks"]]
    reason = view["verdict"]["fitness"]["cpu_us"]
    assert re.fullmatch(rf"A worker process of {engine['id']} ended \d+\.\d s after the load began\.", reason)
