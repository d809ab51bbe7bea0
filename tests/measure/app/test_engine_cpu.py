"""The CPU time that the lab counts for an engine: of all its processes, and per request on the live page."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest

from tests.app.driver import LabProcess, light, plan, until
from tests.app.fleet.test_prefork import pids
from tests.app.live.test_live import viewer
from tests.measure.conftest import Report

WORK = [{"kind": "cpu", "params": {"us": 500}}]
ROUNDS = 3


def cpu_us(processes: set[int]) -> float:
    """Return the CPU time of these processes so far, from the scheduler."""
    tasks = (task for pid in processes for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the generator would share the CPU of the engine"
)
def test_the_ledger_counts_the_cpu_of_every_process_of_an_engine(lab: LabProcess, report: Report) -> None:
    """Noise: the control is the CPU time of the same processes, read from /proc before and after the same
    run, so noise affects both. The window of the ledger is a little shorter. The median of three runs counts;
    each sends 1,000 requests at a rate that needs a quarter of a CPU."""
    engine = lab.start("prefork")
    workers = until(
        lambda: found if len(found := pids(lab, engine)) == 2 else None, "both workers are listed"
    )
    ratios, costs = [], []
    for _ in range(ROUNDS):
        before = cpu_us({engine["pid"], *workers})
        run = lab.run(engine=engine["id"], plan=light(2.0, 0, rate_per_s=500, work=WORK))
        used = (cpu_us({engine["pid"], *workers}) - before) / run["summary"]["requests"]
        costs.append(run["ledger"]["cpu_us"])
        ratios.append(costs[-1] / used)
    report(f"CPU µs/request by the ledger {costs}, as a share of the time in /proc {ratios}")
    assert 0.8 < statistics.median(ratios) < 1.1
    assert statistics.median(costs) > 250, "the handler alone burns 500 µs if a core is free"


def test_the_live_cost_per_request_equals_that_of_the_ledger(lab: LabProcess, report: Report) -> None:
    """Noise: the ledger of the same run is the control, and the median over the frames counts."""
    engine = lab.start("reactor-pool")
    with viewer(lab) as view:
        id = lab.submit(engine=engine["id"], plan=plan(6.0, 0.5))["id"]  # two frames a second
        frames = []

        def is_last(message: dict[str, object]) -> bool:
            if message["type"] == "frame":
                frames.append(message["engines"][engine["id"]])  # type: ignore[index]
            return message.get("event") == "run.finished"

        view.next(is_last, "the end of the run")
        ledger = lab.wait_ended(id)["ledger"]
    with_cost = [each for each in frames if each["cpu_us_per_request"] and each["queue_wait_p99_us"]]
    cpu = statistics.median(each["cpu_us_per_request"] for each in with_cost)
    report(
        f"live {cpu:.1f} µs/request in {len(with_cost)} of {len(frames)} frames, "
        f"ledger {ledger['cpu_us']:.1f}"
    )
    assert cpu == pytest.approx(ledger["cpu_us"], rel=0.2)
    assert 1 < cpu < 10_000
    assert len(with_cost) > 10, "at 1,000 waits per second their p99 is known"
