"""Every scenario, tried for real on one model with shortened times (on all of them: tests/bench/scenarios.py)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from app.lab.scenarios import SCENARIOS

from .driver import LabProcess, until

SHORT = {"duration_s": 0.8, "warmup_s": 0.2}
LESS: dict[str, dict[str, Any]] = {
    "equal-rate": {"rate_per_s": 1000},
    "ramp": {"stages": [{"duration_s": 1.0, "target": 400}]},
    "stall": {"stall_ms": 200},
    "c10k": {"duration_s": 1.5},
}
ON = {"slow-readers": "main-sub", "c10k": "reactor", "cpu-gil": "blocking", "capacity": "reactor"}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "capacity"])
def test_a_scenario_shows_what_it_is_there_for(lab: LabProcess, name: str) -> None:
    spec = {"model": ON.get(name, "reactor-pool"), "scenario": name, "plan": {**SHORT, **LESS.get(name, {})}}
    run = lab.ended(lab.submit(**spec)["id"], 60)
    assert run["state"] == "finished", run["failure"]
    summary, plan = run["summary"], run["plan"]
    assert summary["requests"] > 10 and sum(summary["errors"].values()) <= 0.01 * summary["requests"]
    assert summary["idle_connections_held"] == plan["idle_connections"]
    if name == "pipelining":
        assert run["ledger"]["io_calls"] < 1
    if name == "stall":
        assert any("coordinated omission" in note for note in run["notes"])
    if name == "c10k":
        assert run["ledger"]["threads_peak"] == 1 and run["ledger"]["anon_bytes_per_connection"] < 20_000


def test_the_scenario_that_searches_begins_to_search(lab: LabProcess) -> None:
    run = lab.submit(model=ON["capacity"], scenario="capacity", plan={"duration_s": 0.6, "warmup_s": 0.1})
    until(lambda: (lab.get(f"/runs/{run['id']}")["capacity"] or {}).get("steps"), "there is a first trial", 40)
    lab.http.post(f"/api/v1/runs/{run['id']}/stop")
    assert lab.ended(run["id"])["state"] == "stopped"


def test_where_descriptors_are_few_the_crowd_is_smaller_and_says_why() -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))"
    look = "from app.lab.scenarios import SCENARIOS; c = SCENARIOS['c10k']"
    code = f"{few}; {look}; print(c.plan['idle_connections'], c.title, c.watch)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("3520 3,520 idle connections") and "4,096 descriptors" in said
