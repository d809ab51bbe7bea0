"""Verdicts about the limits of this machine, provoked for real.

What any evidence leads to is in tests/app/results/test_verdict.py; faults whose verdict logic alone decides are in
tests/app/results/test_verdicts_of_runs.py.
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

from .noise import evidence_of, is_verdict, name_of, rounds, starved, told

OPEN = "constant-arrival-rate"
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="engine and generator need a CPU each")


def work(kind: str, **params: int) -> list[dict[str, Any]]:
    return [{"kind": kind, "params": params}]


def check(run: Any, what: str) -> Any:
    return next(check for check in run["verdict"]["checks"] if check["what"] == what)


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """Four other processes that want a CPU all the time."""
    spin = f"import os; os.sched_setaffinity(0, [{cpu}]); print(flush=True)\nwhile True: pass"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            child = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
            )
            stack.callback(child.kill)
            assert child.stdout and child.stdout.readline()
        yield


def test_server_bound_a_rate_beyond_the_server(lab: LabProcess, report: Report) -> None:
    """One thread that sleeps 20 ms for each request answers 50 a second, and 120 are offered.

    Noise: the rate that is missed does not depend on the machine. A neighbour on the generator's CPU makes "client
    bound" the right verdict: each of three rounds tells itself how long the generator waited, and may be excused by
    that, but not all of them.
    """
    slow = plan(1.2, 0, executor=OPEN, rate_per_s=120, work=work("sleep", ms=20), vus=32)
    runs = rounds(lab, model="reactor", plan=slow)
    report("; ".join(map(told, runs)))
    assert all(run["summary"]["rate_ratio"] < 0.6 for run in runs)
    assert is_verdict(runs, "server_bound")
    assert all(
        "growing queue" in " ".join(run["verdict"]["because"])
        for run in runs
        if name_of(run) == "server_bound"
    )
    assert all(run["summary"]["latency"]["response"]["max_us"] > 200_000 for run in runs), (
        "far from a sleep's 20 ms"
    )


def test_server_bound_a_closed_load_that_fills_the_one_thread(lab: LabProcess, report: Report) -> None:
    """Noise: a thread that sleeps is occupied whatever else the machine does, if it has something to do; how long the
    generator that gives it that waited for its CPU is told by each of three rounds itself, as above."""
    runs = rounds(lab, model="reactor", plan=plan(1.0, 0, work=work("sleep", ms=5)))
    report("; ".join(map(told, runs)))
    assert is_verdict(runs, "server_bound")
    for run in runs:
        assert starved(run) or (
            evidence_of(run)["occupied_reactor"] > 0.85 and check(run, "Reactor utilisation")["ok"]
        )
    assert all(run["verdict"]["rankable"] == (name_of(run) == "server_bound") for run in runs)


@pytest.mark.parametrize("vus", [2, 8])
def test_unsaturated_users_that_think_most_of_the_time(lab: LabProcess, report: Report, vus: int) -> None:
    """Noise: the load needs 2 % of a CPU, so only a generator that is kept from its CPU changes the verdict; each of
    three rounds tells itself whether it was."""
    runs = rounds(lab, model="reactor", plan=plan(1.0, 0.2, vus=vus, think_time_ms=50))
    report("; ".join(map(told, runs)))
    assert is_verdict(runs, "unsaturated")
    assert all(run["verdict"]["rankable"] for run in runs if name_of(run) == "unsaturated")


@TWO_CPUS
def test_client_bound_a_generator_that_is_starved_of_its_cpu(lab: LabProcess, report: Report) -> None:
    """Noise: an A/B pair. The same load runs with and without four busy processes on the generator's CPU, and must wait
    longer with them, unless neighbours alone make it wait for as long as the verdict needs; the report shows it."""
    load = plan(1.5, 0, vus=32)
    control = lab.run(model="reactor", plan=load)
    with busy(max(os.sched_getaffinity(0))):
        run = lab.run(model="reactor", plan=load)
    report(f"without: {told(control)}; with: {told(run)}")
    waited, before = evidence_of(run)["generator_waited"], evidence_of(control)["generator_waited"]
    assert waited > 0.25 and (waited > 2 * before or before > 0.125)
    assert name_of(run) == "client_bound" and not run["verdict"]["rankable"]
    assert "CPU starvation" in " ".join(run["verdict"]["because"])


def test_percentiles_of_a_generator_that_was_stopped_for_a_while_are_not_valid(
    lab: LabProcess, report: Report
) -> None:
    """Noise: an A/B pair. The same load runs once undisturbed, and what it sends late then is subtracted. A generator
    that neighbours starve as well is client bound for this reason first, and the run tells if it was."""
    load = light(2.0, vus=128)
    control = lab.run(model="reactor", plan=load)
    run = lab.submit(model="reactor", plan=load)
    lab.wait_measuring(run["id"])
    (pid,) = generators(lab.child_pids())
    os.kill(pid, signal.SIGSTOP)
    until(lambda: lab.get(f"/runs/{run['id']}")["progress"] > 0.5, "half of it is over")
    os.kill(pid, signal.SIGCONT)
    view = lab.wait_ended(run["id"])
    report(f"undisturbed: {told(control)}; stopped: {told(view)}")
    assert view["summary"]["late"] - control["summary"]["late"] > 20
    fitness = view["verdict"]["fitness"]
    assert "Late sends" in fitness["p90_us"] or evidence_of(view)["generator_waited"] > 0.25
    assert fitness["cpu_us"] is None, "what a request cost does not depend on when it was sent"


def test_rate_missed_by_too_few_connections_and_not_by_the_server(lab: LabProcess, report: Report) -> None:
    """One connection at 30 ms per request carries 33 a second, 100 are offered, and seven of eight workers are idle.

    Noise: the rate that is missed does not depend on the machine; the generator's wait is told by each of three rounds
    itself.
    """
    few = plan(1.5, 0, executor=OPEN, rate_per_s=100, vus=1, work=work("sleep", ms=30))
    runs = rounds(lab, model="reactor-pool", knobs={"workers": 8}, plan=few)
    report("; ".join(map(told, runs)))
    assert all(run["summary"]["rate_ratio"] < 0.7 for run in runs)
    assert is_verdict(runs, "rate_missed")


def test_kernel_drops_an_accept_queue_of_four_in_churn(lab: LabProcess, report: Report) -> None:
    """Noise: an A/B pair. The same churn runs with an accept queue of 4 and with the usual one of 4,096; a slower
    machine only overflows the short one more."""
    churn = plan(2.5, 0, churn=True, vus=64)
    usual = lab.run(model="reactor", plan=churn)
    short = lab.run(model="reactor", knobs={"backlog": 4}, plan=churn)
    report(f"4,096: {told(usual)}; 4: {told(short)}")
    assert evidence_of(short)["listen_drops"] > evidence_of(usual)["listen_drops"] == 0
    assert name_of(short) == "kernel_drops" and name_of(usual) != "kernel_drops"


def test_noisy_a_window_too_short_for_its_answers(lab: LabProcess, report: Report) -> None:
    """Little's law needs a load that is as it was: in the short window a third of what is in flight never ends in it.

    Noise: a control. Few users with short answers keep the law whatever the machine does, for requests in flight and
    latency grow together; their residual must be far below that of the short window.
    """
    short = lab.run(
        model="blocking", plan=plan(0.75, 0, vus=800, think_time_ms=10, work=work("sleep", ms=300))
    )
    steady = lab.run(model="blocking", plan=plan(1.5, 0, vus=40, think_time_ms=20, work=work("sleep", ms=5)))
    report(f"short window: {told(short)}; steady: {told(steady)}")
    residual, control = (abs(evidence_of(run)["little_residual"]) for run in (short, steady))
    assert residual > 0.05 and residual > 2 * control
    assert name_of(short) == "noisy"
