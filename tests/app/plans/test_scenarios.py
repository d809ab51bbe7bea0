"""Every scenario, run on one model with shortened times.

tests/bench/scenarios.py runs all models; tests/measure/app/test_scenarios.py checks the measured figures;
test_validate.py checks that each scenario is a valid plan.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from app.plans.scenarios import SCENARIOS
from tests.app.driver import LabProcess, until

SHORT = {"duration_s": 0.5, "warmup_s": 0.1, "timeout_s": 60}
OVERRIDES: dict[str, dict[str, Any]] = {
    "equal-rate": {"rate_per_s": 1000},
    "ramp": {"stages": [{"duration_s": 0.5, "target": 400}]},
    "stall": {"stall_ms": 200, "duration_s": 1.0},
}
MODELS = {"slow-readers": "main-sub", "c10k": "reactor", "cpu-gil": "blocking", "capacity": "reactor"}


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "capacity"])
def test_a_scenario_offers_the_load_of_its_plan(lab: LabProcess, name: str) -> None:
    spec = {
        "model": MODELS.get(name, "reactor-pool"),
        "scenario": name,
        "plan": {**SHORT, **OVERRIDES.get(name, {})},
    }
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
def test_the_capacity_scenario_reports_its_first_trial(lab: LabProcess) -> None:
    """A search has at least four trials of 1 s or more, so it is still running after the first."""
    run = lab.submit(model=MODELS["capacity"], scenario="capacity", plan={"duration_s": 1.0, "warmup_s": 0.1})
    until(lambda: (lab.get(f"/runs/{run['id']}")["capacity"] or {}).get("steps"), "the first trial has ended")
    assert lab.stop(run["id"])["state"] == "stopped"


def test_c10k_is_reduced_where_file_descriptors_are_few_and_says_why() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))"
    show = "from app.plans.scenarios import SCENARIOS; c = SCENARIOS['c10k']"
    code = f"{limit}; {show}; print(c.plan['idle_connections'], c.title, c.watch)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("3520 3,520 idle connections") and "4,096 file descriptors" in printed
