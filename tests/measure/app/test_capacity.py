"""A capacity search on a real engine finds the capacity that arithmetic predicts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.driver import ENDED, LabMaker, LabProcess, plan
from tests.measure.conftest import Report
from tests.waiting import BOUND_S, until

SEARCH = "find-capacity"
WORK = [{"kind": "hash", "params": {"us": 1000}}]
NEAR = 0.10


def ceiling(lab: LabProcess, engine: str) -> float:
    """Return the throughput of one thread under a closed load: one over its service time.

    Other load can only lower it, so the higher of two measurements counts.
    """
    runs = [lab.run(engine=engine, plan=plan(1.0, 0.2, work=WORK, vus=4)) for _ in range(2)]
    return max(float(run["summary"]["achieved_per_s"]) for run in runs)


def ended_of(lab: LabProcess, id: int) -> Any:
    view = lab.get(f"/runs/{id}")
    return view if view["state"] in ENDED else None


def test_the_capacity_of_one_thread_is_one_over_its_service_time(lab: LabProcess, report: Report) -> None:
    """Noise: the ceiling of the same engine is measured before and after the search. The capacity is compared
    with their mean, and their difference is added to the tolerance, because the machine changed by that much
    meanwhile."""
    engine = lab.start("reactor")["id"]
    search = plan(1.0, 0.2, executor=SEARCH, objective="p(50)<50ms", work=WORK, vus=32)
    before = ceiling(lab, engine)
    submitted = lab.submit(engine=engine, plan=search)
    run = until(lambda: ended_of(lab, submitted["id"]), "the search ends", 10 * BOUND_S, every_s=0.2)
    after = ceiling(lab, engine)
    capacity, changed = (before + after) / 2, abs(before / after - 1)
    found = run["capacity"]
    report(
        f"ceiling {before:.0f} before and {after:.0f} after, capacity {found['kept_per_s']}, failed "
        f"{found['failed_per_s']}, {len(found['steps'])} steps, limited by {found['limited_by']}"
    )
    assert run["state"] == "finished" and found["objective"] == "p(50)<50ms"
    assert abs(found["kept_per_s"] / capacity - 1) < NEAR + changed, (found, capacity)
    assert (
        found["failed_per_s"] is None
        or found["kept_per_s"] < found["failed_per_s"] <= 1.06 * found["kept_per_s"]
    )
    steps = found["steps"]
    assert len(steps) >= 5 and all(step["because"].endswith(".") for step in steps)
    kept = [step for step in steps if step["rate_per_s"] == found["kept_per_s"] and step["kept"]]
    assert len(kept) >= 2, "two trials of that rate passed"
    assert run["summary"]["offered_per_s"] == pytest.approx(found["kept_per_s"], rel=0.02)
    assert run["summary"]["latency"]["response"]["p50_us"] < 50_000
    assert any("the highest rate that met p(50)<50ms" in text for text in run["verdict"]["because"])
    assert run["verdict"]["rankable"] <= (found["limited_by"] is None)


def test_a_search_ends_at_the_highest_allowed_rate_and_reports_it(make_lab: LabMaker, report: Report) -> None:
    """Noise: the rates are a fiftieth of the engine's capacity, and two of three trials decide for each rate.
    No stall shorter than ten seconds breaches the objective."""
    lab = make_lab("--max-rate", "600")
    run = lab.run(model="reactor", plan=plan(1.0, 0, executor=SEARCH, objective="max<10s", rate_per_s=300))
    report(str([(step["rate_per_s"], step["kept"], step["because"]) for step in run["capacity"]["steps"]]))
    assert run["capacity"]["kept_per_s"] == 600 and run["capacity"]["failed_per_s"] is None
    assert "600 req/s" in run["capacity"]["limited_by"] and not run["verdict"]["rankable"]


def test_a_search_ends_at_its_time_limit(make_lab: LabMaker, report: Report) -> None:
    """Noise: on a slower machine fewer trials fit into the two seconds, but one always does."""
    lab = make_lab("--max-duration-s", "2")
    run = lab.run(model="reactor", plan=plan(0.5, 0, executor=SEARCH, objective="max<10s", rate_per_s=200))
    report(f"{len(run['capacity']['steps'])} steps, kept {run['capacity']['kept_per_s']}")
    assert "time limit of a search" in run["capacity"]["limited_by"]
    assert 1 <= len(run["capacity"]["steps"]) <= 4 and not run["verdict"]["rankable"]
