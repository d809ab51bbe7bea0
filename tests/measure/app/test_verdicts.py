"""Verdicts that depend on the speed of this machine, from real runs.

tests/app/results/test_verdict.py tests the verdict of any evidence;
tests/app/results/test_verdicts_of_runs.py has the real runs whose verdicts do not depend on speed.
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

from tests.app.driver import LabProcess, generators, light, plan, until
from tests.measure.conftest import Report

from .noise import evidence_of, is_verdict, name_of, rounds, starved, verdict_line

OPEN = "constant-arrival-rate"
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="engine and generator need a CPU each")


def work(kind: str, **params: int) -> list[dict[str, Any]]:
    return [{"kind": kind, "params": params}]


def check(run: Any, what: str) -> Any:
    return next(check for check in run["verdict"]["checks"] if check["what"] == what)


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """Run four processes that keep a CPU busy."""
    spin = f"import os; os.sched_setaffinity(0, [{cpu}]); print(flush=True)\nwhile True: pass"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            child = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
            )
            stack.callback(child.kill)
            assert child.stdout and child.stdout.readline()
        yield


def test_a_rate_above_the_capacity_is_server_bound(lab: LabProcess, report: Report) -> None:
    """One thread that sleeps 20 ms per request has a capacity of 50 req/s, and 120 are offered.

    Noise: that the rate is missed does not depend on the machine. Other load on the CPU of the generator
    makes "client bound" the right verdict: the evidence of a run shows it, and it is accepted for two of
    three rounds.
    """
    slow = plan(1.2, 0, executor=OPEN, rate_per_s=120, work=work("sleep", ms=20), vus=32)
    runs = rounds(lab, model="reactor", plan=slow)
    report("; ".join(map(verdict_line, runs)))
    assert all(run["summary"]["rate_ratio"] < 0.6 for run in runs)
    assert is_verdict(runs, "server_bound")
    assert all(
        "growing queue" in " ".join(run["verdict"]["because"])
        for run in runs
        if name_of(run) == "server_bound"
    )
    assert all(run["summary"]["latency"]["response"]["max_us"] > 200_000 for run in runs), (
        "far above the 20 ms of a sleep"
    )


def test_a_closed_load_that_occupies_the_only_thread_is_server_bound(lab: LabProcess, report: Report) -> None:
    """Noise: a thread that sleeps is occupied whatever else the machine does, if the generator sends
    requests. Rounds with a starved generator are accepted as above."""
    runs = rounds(lab, model="reactor", plan=plan(1.0, 0, work=work("sleep", ms=5)))
    report("; ".join(map(verdict_line, runs)))
    assert is_verdict(runs, "server_bound")
    for run in runs:
        assert starved(run) or (
            evidence_of(run)["occupied_reactor"] > 0.85 and check(run, "Reactor utilisation")["ok"]
        )
    assert all(run["verdict"]["rankable"] == (name_of(run) == "server_bound") for run in runs)


@pytest.mark.parametrize("vus", [2, 8])
def test_users_that_think_most_of_the_time_are_unsaturated(lab: LabProcess, report: Report, vus: int) -> None:
    """Noise: the load needs 2 % of a CPU. Rounds with a starved generator are accepted as above."""
    runs = rounds(lab, model="reactor", plan=plan(1.0, 0.2, vus=vus, think_time_ms=50))
    report("; ".join(map(verdict_line, runs)))
    assert is_verdict(runs, "unsaturated")
    assert all(run["verdict"]["rankable"] for run in runs if name_of(run) == "unsaturated")


@TWO_CPUS
def test_a_starved_generator_is_client_bound(lab: LabProcess, report: Report) -> None:
    """Noise: an A/B pair. The same load runs with and without four busy processes on the generator's CPU. The
    generator must wait longer with them, unless other load alone makes it wait that long."""
    load = plan(1.5, 0, vus=32)
    control = lab.run(model="reactor", plan=load)
    with busy(max(os.sched_getaffinity(0))):
        run = lab.run(model="reactor", plan=load)
    report(f"without: {verdict_line(control)}; with: {verdict_line(run)}")
    waited, before = evidence_of(run)["generator_waited"], evidence_of(control)["generator_waited"]
    assert waited > 0.25 and (waited > 2 * before or before > 0.125)
    assert name_of(run) == "client_bound" and not run["verdict"]["rankable"]
    assert "CPU starvation" in " ".join(run["verdict"]["because"])


def test_percentiles_are_invalid_if_the_generator_was_stopped(lab: LabProcess, report: Report) -> None:
    """Noise: an A/B pair. The same load runs once undisturbed, and its late sends are subtracted. If other
    load starves the generator, "client bound" takes precedence, and the evidence shows it."""
    load = light(2.0, vus=128)
    control = lab.run(model="reactor", plan=load)
    run = lab.submit(model="reactor", plan=load)
    lab.wait_measuring(run["id"])
    (pid,) = generators(lab.child_pids())
    os.kill(pid, signal.SIGSTOP)
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0.5, "half of the run is over")
    os.kill(pid, signal.SIGCONT)
    view = lab.wait_ended(run["id"])
    report(f"undisturbed: {verdict_line(control)}; stopped: {verdict_line(view)}")
    assert view["summary"]["late"] - control["summary"]["late"] > 20
    fitness = view["verdict"]["fitness"]
    assert "Late sends" in fitness["p90_us"] or evidence_of(view)["generator_waited"] > 0.25
    assert fitness["cpu_us"] is None, "the cost of a request does not depend on when it was sent"


def test_too_few_connections_miss_the_rate_without_a_server_limit(lab: LabProcess, report: Report) -> None:
    """One connection at 30 ms per request carries 33 of the offered 100 req/s; seven of eight workers are
    idle.

    Noise: that the rate is missed does not depend on the machine. A starved generator is accepted as above.
    """
    few = plan(1.5, 0, executor=OPEN, rate_per_s=100, vus=1, work=work("sleep", ms=30))
    runs = rounds(lab, model="reactor-pool", knobs={"workers": 8}, plan=few)
    report("; ".join(map(verdict_line, runs)))
    assert all(run["summary"]["rate_ratio"] < 0.7 for run in runs)
    assert is_verdict(runs, "rate_missed")


def test_an_accept_queue_of_four_drops_connections_under_churn(lab: LabProcess, report: Report) -> None:
    """Noise: an A/B pair. The same churn runs with an accept queue of 4 and with the default of 4,096. A
    slower machine only overflows the short one more."""
    churn = plan(2.5, 0, churn=True, vus=64)
    usual = lab.run(model="reactor", plan=churn)
    short = lab.run(model="reactor", knobs={"backlog": 4}, plan=churn)
    report(f"4,096: {verdict_line(usual)}; 4: {verdict_line(short)}")
    assert evidence_of(short)["listen_drops"] > evidence_of(usual)["listen_drops"] == 0
    assert name_of(short) == "kernel_drops" and name_of(usual) != "kernel_drops"


def test_a_window_too_short_for_its_responses_is_noisy(lab: LabProcess, report: Report) -> None:
    """Little's law needs a steady load: a third of the requests in flight do not end within the short window.

    Noise: the control is a run of few users with short responses. It satisfies the law on any machine,
    because requests in flight and latency grow together. Its residual must be far below that of the short
    window.
    """
    short = lab.run(
        model="blocking", plan=plan(0.75, 0, vus=800, think_time_ms=10, work=work("sleep", ms=300))
    )
    steady = lab.run(model="blocking", plan=plan(1.5, 0, vus=40, think_time_ms=20, work=work("sleep", ms=5)))
    report(f"short window: {verdict_line(short)}; steady: {verdict_line(steady)}")
    residual, control = (abs(evidence_of(run)["little_residual"]) for run in (short, steady))
    assert residual > 0.05 and residual > 2 * control
    assert name_of(short) == "noisy"
