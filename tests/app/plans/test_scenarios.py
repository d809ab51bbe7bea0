"""Every scenario, carried out on one model with shortened times (on all of them: tests/bench/scenarios.py).

What a scenario shows in numbers is in tests/measure/app/test_scenarios.py; that each is a valid plan in test_runs.py.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from app.plans.scenarios import SCENARIOS
from tests.app.driver import LabProcess, until

SHORT = {"duration_s": 0.5, "warmup_s": 0.1, "timeout_s": 60}
LESS: dict[str, dict[str, Any]] = {
    "equal-rate": {"rate_per_s": 1000},
    "ramp": {"stages": [{"duration_s": 0.5, "target": 400}]},
    "stall": {"stall_ms": 200, "duration_s": 1.0},
}
ON = {"slow-readers": "main-sub", "c10k": "reactor", "cpu-gil": "blocking", "capacity": "reactor"}


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "capacity"])
def test_a_scenario_is_carried_out_as_it_is_planned(lab: LabProcess, name: str) -> None:
    spec = {"model": ON.get(name, "reactor-pool"), "scenario": name, "plan": {**SHORT, **LESS.get(name, {})}}
    run = lab.run(**spec)
    assert run["state"] == "finished", run["failure"]
    summary, plan, evidence = run["summary"], run["plan"], run["verdict"]["evidence"]
    assert summary["requests"] > 0 and summary["errors"] == {} and summary["dropped"] == 0
    assert evidence["answered"] == evidence["counted"] >= summary["requests"]
    assert summary["idle_connections_held"] == plan["idle_connections"]
    assert summary["connections_peak"] >= plan["vus"] or plan["churn"]
    if plan["executor"] == "constant-arrival-rate" and plan["spacing"] == "constant":
        assert summary["requests"] == plan["rate_per_s"] * plan["duration_s"]
    assert [kind["label"].split()[0] for kind in summary["by_kind"]] == [
        work["kind"] for work in plan["work"]
    ]
    if name == "stall":
        assert any("coordinated omission" in note for note in run["notes"])


@pytest.mark.full
def test_the_scenario_that_searches_begins_to_search(lab: LabProcess) -> None:
    """A search takes at least four trials, of a second or more each: it is still going when the first has been seen."""
    run = lab.submit(model=ON["capacity"], scenario="capacity", plan={"duration_s": 1.0, "warmup_s": 0.1})
    until(lambda: (lab.get(f"/runs/{run['id']}")["capacity"] or {}).get("steps"), "there is a first trial")
    assert lab.stop(run["id"])["state"] == "stopped"


def test_where_descriptors_are_few_the_crowd_is_smaller_and_says_why() -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))"
    look = "from app.plans.scenarios import SCENARIOS; c = SCENARIOS['c10k']"
    code = f"{few}; {look}; print(c.plan['idle_connections'], c.title, c.watch)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("3520 3,520 idle connections") and "4,096 descriptors" in said
