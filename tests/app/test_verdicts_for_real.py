"""Each verdict, provoked for real: real engines, a real load, and something that really goes wrong.

A verdict tells of the machine as it is, so a test that wants another one than the neighbours of this machine allow
asks again: `provoked`. A verdict that cannot be provoked fails all the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .driver import LabProcess, command_line, plan, until

pytestmark = pytest.mark.alone

OPEN = "constant-arrival-rate"
AGAIN = 5  # a neighbour may have had the CPU meanwhile, and then the verdict says so
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="engine and generator need a CPU each")


def work(kind: str, **params: int) -> list[dict[str, Any]]:
    return [{"kind": kind, "params": params}]


def provoked(lab: LabProcess, verdict: str, **spec: Any) -> Any:
    """A run that came to this verdict."""
    for _ in range(AGAIN):
        run = lab.run(**spec)
        if run["verdict"]["name"] == verdict:
            assert rankable(run) <= (verdict in ("server_bound", "unsaturated"))
            return run
    raise AssertionError(f"{verdict} was not provoked in {AGAIN} runs: {run['verdict']}")


def rankable(run: Any) -> bool:
    ranked: bool = run["verdict"]["rankable"]
    return ranked


def check(run: Any, what: str) -> Any:
    return next(check for check in run["verdict"]["checks"] if check["what"] == what)


def shards(lab: LabProcess) -> list[int]:
    """The processes of the load generator."""
    return [pid for pid in lab.others() if "app.load" in command_line(pid)]


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """Others that want a CPU all the time."""
    spin = f"import os; os.sched_setaffinity(0, [{cpu}]); print(flush=True)\nwhile True: pass"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            child = stack.enter_context(subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE))
            stack.callback(child.kill)
            assert child.stdout and child.stdout.readline()
        yield


def test_server_bound_a_rate_beyond_the_server(lab: LabProcess) -> None:
    slow = plan(1.2, 0, executor=OPEN, rate_per_s=120, work=work("sleep", ms=20), vus=32)
    run = provoked(lab, "server_bound", model="reactor", plan=slow)
    assert run["summary"]["rate_ratio"] < 0.6
    assert "growing queue" in " ".join(run["verdict"]["because"])


def test_server_bound_a_closed_load_that_fills_the_one_thread(lab: LabProcess) -> None:
    run = provoked(lab, "server_bound", model="reactor", plan=plan(1.0, 0, work=work("sleep", ms=5)))
    assert rankable(run)
    assert check(run, "Occupied: reactor")["ok"]


def test_unsaturated_a_tiny_load(lab: LabProcess) -> None:
    run = provoked(lab, "unsaturated", model="reactor", plan=plan(1.0, 0.2, vus=2, think_time_ms=50))
    assert rankable(run)


@TWO_CPUS
def test_client_bound_a_generator_that_is_starved_of_its_cpu(lab: LabProcess) -> None:
    with busy(max(os.sched_getaffinity(0))):
        run = provoked(lab, "client_bound", model="reactor", plan=plan(1.5, 0, vus=32))
    said = " ".join(run["verdict"]["because"])
    assert "waited for it" in said or run["verdict"]["evidence"]["generator_utilisation"] > 0.85, said


def test_client_bound_a_generator_that_was_stopped_for_a_while(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=plan(2.0, 0, executor=OPEN, rate_per_s=100))
    lab.reaches(run["id"], "running")
    (pid,) = shards(lab)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0.5, "half of it is over")
    os.kill(pid, signal.SIGCONT)
    view = lab.ended(run["id"])
    assert view["verdict"]["name"] == "client_bound", view["verdict"]
    assert "late" in " ".join(view["verdict"]["because"])


def test_rate_missed_by_too_few_connections_and_not_by_the_server(lab: LabProcess) -> None:
    few = plan(1.5, 0, executor=OPEN, rate_per_s=100, vus=1, work=work("sleep", ms=30))
    run = provoked(lab, "rate_missed", model="reactor-pool", knobs={"workers": 8}, plan=few)
    assert run["summary"]["rate_ratio"] < 0.7


def test_kernel_drops_an_accept_queue_of_four_in_churn(lab: LabProcess) -> None:
    churn = plan(2.5, 0, churn=True, vus=64)
    run = provoked(lab, "kernel_drops", model="reactor", knobs={"backlog": 4}, plan=churn)
    assert run["verdict"]["evidence"]["listen_drops"] > 0


def test_errors_dominate_where_handlers_outlast_the_patience(lab: LabProcess) -> None:
    hasty = plan(1.5, 0, timeout_s=0.2, vus=4, work=work("sleep", ms=400))
    run = provoked(lab, "errors_dominate", model="blocking", plan=hasty)
    assert run["summary"]["errors"]["timeout"] > 0
    assert check(run, "Errors")["ok"] is False


def test_degraded_an_engine_that_is_killed(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool")
    run = lab.submit(engine=engine["id"], plan=plan(60.0, 0.2))
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0.01, "it is measured")
    os.kill(engine["pid"], signal.SIGKILL)
    view = lab.ended(run["id"])  # at once: nobody is there to answer any more
    assert view["verdict"]["name"] == "degraded" and not rankable(view)
    assert view["summary"]["requests"] > 0
    assert any("SIGKILL" in mark["text"] for mark in view["marks"])


def test_degraded_a_shard_that_is_killed(lab: LabProcess) -> None:
    two = plan(2.0, 0.2, shards=2, placement="shared", executor=OPEN, rate_per_s=100)
    run = lab.submit(model="reactor", plan=two)
    lab.reaches(run["id"], "running")
    first, _ = until(lambda: found if len(found := shards(lab)) == 2 else None, "there are two")
    os.kill(first, signal.SIGKILL)
    view = lab.ended(run["id"])
    assert view["verdict"]["name"] == "degraded" and not rankable(view)
    assert "shard" in view["verdict"]["because"][0]
    assert view["summary"]["requests"] > 0  # the other one's are kept


def test_degraded_the_only_shard_is_killed(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", plan=plan(30.0, 0))
    lab.reaches(run["id"], "running")
    os.kill(shards(lab)[0], signal.SIGKILL)
    view = lab.ended(run["id"])
    assert (view["state"], view["verdict"]["name"], view["summary"]) == ("failed", "degraded", None)
    assert "SIGKILL" in view["failure"]


def test_noisy_a_window_too_short_for_its_answers(lab: LabProcess) -> None:
    """Little's law needs a load that is as it was: here a third of the requests in flight never ends in the window."""
    short = plan(0.75, 0, vus=800, think_time_ms=10, work=work("sleep", ms=300))
    run = provoked(lab, "noisy", model="blocking", plan=short)
    assert abs(run["verdict"]["evidence"]["little_residual"]) > 0.05


def test_both_sides_count_the_same(lab: LabProcess) -> None:
    every = [
        plan(0.8, 0.2), plan(0.8, 0.2, churn=True), plan(0.8, 0.2, pipeline=8), plan(0.8, 0.2, idle_connections=30),
        plan(0.8, 0.2, slow_readers=2, slow_writers=2, executor=OPEN, rate_per_s=300),
        plan(0.8, 0.2, shards=2, placement="shared"),
    ]  # fmt: skip
    for each in every:
        evidence = lab.run(model="main-sub", plan=each)["verdict"]["evidence"]
        assert evidence["errors"] == 0
        assert evidence["answered"] == evidence["counted"] > 100
