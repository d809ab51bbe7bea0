"""What CPU time the lab counts for an engine: of all its processes, and of a request while a page watches."""

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
    """What these processes have used so far, by the scheduler."""
    tasks = (task for pid in processes for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the generator would share the CPU of the engine"
)
def test_the_ledger_counts_the_cpu_of_every_process_of_an_engine(lab: LabProcess, report: Report) -> None:
    """Noise: the control is the CPU time of the same processes in the same run, read from /proc around it: whatever the
    machine does to the run, it does to both. The window of the ledger is a little shorter, so the median of three
    counts, of runs that send 1,000 requests each at a rate that needs a quarter of a CPU."""
    engine = lab.start("prefork")
    workers = until(lambda: found if len(found := pids(lab, engine)) == 2 else None, "both are seen")
    ratios, costs = [], []
    for _ in range(ROUNDS):
        before = cpu_us({engine["pid"], *workers})
        run = lab.run(engine=engine["id"], plan=light(2.0, 0, rate_per_s=500, work=WORK))
        used = (cpu_us({engine["pid"], *workers}) - before) / run["summary"]["requests"]
        costs.append(run["ledger"]["cpu_us"])
        ratios.append(costs[-1] / used)
    report(f"CPU µs/request by the ledger {costs}, as a share of what /proc says {ratios}")
    assert 0.8 < statistics.median(ratios) < 1.1
    assert statistics.median(costs) > 250, "the handlers alone burn 500 µs, where a core is free"


def test_the_live_price_of_a_request_is_that_of_the_ledger(lab: LabProcess, report: Report) -> None:
    """Noise: the ledger of the same run is the control, and the median of the frames of its last seconds counts."""
    engine = lab.start("reactor-pool")
    with viewer(lab) as view:
        id = lab.submit(engine=engine["id"], plan=plan(6.0, 0.5))["id"]  # two frames a second
        frames = []

        def over(message: dict[str, object]) -> bool:
            if message["type"] == "frame":
                frames.append(message["engines"][engine["id"]])  # type: ignore[index]
            return message.get("event") == "run.finished"

        view.next(over, "its end")
        ledger = lab.wait_ended(id)["ledger"]
    priced = [each for each in frames if each["cpu_us_per_request"] and each["queue_wait_p99_us"]]
    cpu = statistics.median(each["cpu_us_per_request"] for each in priced)
    report(
        f"live {cpu:.1f} µs/request in {len(priced)} of {len(frames)} frames, ledger {ledger['cpu_us']:.1f}"
    )
    assert cpu == pytest.approx(ledger["cpu_us"], rel=0.2)
    assert 1 < cpu < 10_000
    assert len(priced) > 10, "there are 1,000 waits in a second, so their p99 is known"
