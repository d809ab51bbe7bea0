"""Time in which threads waited for the GIL, against arithmetic: real runs of work that holds it."""

from __future__ import annotations

import os
import statistics
from typing import Any

import pytest

from tests.app.driver import LabProcess, plan
from tests.measure.conftest import Report

from .noise import evidence_of, rounds

BURN = [{"kind": "cpu", "params": {"us": 5000}}]
SLEEP = [{"kind": "sleep", "params": {"ms": 5}}]
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="engine and generator need a CPU each")


def line(run: Any, role: str) -> str:
    evidence = evidence_of(run)
    share, margin, waited = (
        evidence[f"{name}_{role}"] for name in ("stalled", "stalled_margin", "run_queue")
    )
    stalled_us, requests = run["ledger"]["stalled_us"], run["summary"]["requests"]
    return (
        f"{share:.3f} ± {margin:.3f} of occupied time, run queue {waited:.3f}, "
        f"{stalled_us:,.0f} µs/request, {requests} requests"
    )


@TWO_CPUS
def test_one_thread_does_not_wait_for_the_gil(lab: LabProcess, report: Report) -> None:
    """Noise: time without a CPU is the run-queue wait, which is subtracted, so other load does not count as
    a wait for the GIL. The median of three runs counts."""
    runs = rounds(lab, model="reactor", plan=plan(4.0, 0.5, vus=4, work=BURN))
    report("; ".join(line(run, "reactor") for run in runs))
    assert statistics.median(evidence_of(run)["stalled_reactor"] for run in runs) < 0.05


@TWO_CPUS
@pytest.mark.parametrize("workers", [2, 4])
def test_n_workers_that_hold_the_gil_each_wait_for_the_others(
    lab: LabProcess, report: Report, workers: int
) -> None:
    """Of n workers that always have work, one runs and n - 1 wait.

    Noise: a thread that waits for the GIL wakes up every 5 ms and then waits for a CPU, if all of them are
    busy: that counts as run-queue wait. So the share lies between `stalled` and their sum, on any machine. It
    is within 0.1 of the arithmetic if there was a CPU to spare: less than 0.1 of run-queue wait."""
    load = plan(4.0, 0.5, vus=4 * workers, work=BURN, placement="shared")
    runs = rounds(lab, model="reactor-pool", knobs={"workers": workers}, plan=load)
    report("; ".join(line(run, "worker") for run in runs))
    expected = (workers - 1) / workers
    for evidence in map(evidence_of, runs):
        stalled, waited = evidence["stalled_worker"], evidence["run_queue_worker"]
        assert stalled - 0.1 < expected < stalled + waited + 0.1
        assert waited > 0.1 or stalled == pytest.approx(expected, abs=0.1)


@TWO_CPUS
def test_sleeping_handlers_do_not_wait_for_the_gil(lab: LabProcess, report: Report) -> None:
    """Noise: as for one thread. A worker is occupied for 5 ms per request, and runs for some tens of µs."""
    runs = rounds(lab, model="reactor-pool", plan=plan(4.0, 0.5, vus=16, work=SLEEP))
    report("; ".join(line(run, "worker") for run in runs))
    assert statistics.median(evidence_of(run)["stalled_worker"] for run in runs) < 0.05
