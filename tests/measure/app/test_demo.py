"""`threadlab demo` from start to end. tests/app/cli/test_cli.py tests its order and its table."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from tests.app.driver import threadlab
from tests.measure.conftest import Report
from tests.waiting import BOUND_S

from .noise import starved


def test_all_models_sustain_the_equal_rate_and_are_ranked(tmp_path: Path, report: Report) -> None:
    """Noise: the equal rate is half of the slowest ceiling that the same demo has just measured, so a slow
    minute lowers it. The median ratio of the models counts. A model may be unranked only if the evidence of
    its run shows that the generator was starved."""
    file = tmp_path / "demo.json"
    env = {"THREADLAB_DATA_DIR": str(tmp_path)}
    done = threadlab("demo", "--seconds", "1", "--json", str(file), timeout_s=5 * BOUND_S, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(file.read_text())
    rate = runs["equal_rate"][0]["plan"]["rate_per_s"]
    slowest = min(run["summary"]["achieved_per_s"] for run in runs["ceiling"])
    ratios = {run["model"]: run["summary"]["rate_ratio"] for run in runs["equal_rate"]}
    report(
        f"slowest ceiling {slowest:.0f}/s, equal rate {rate:.0f}/s, achieved {ratios}, verdicts "
        f"{[run['verdict']['name'] for run in runs['equal_rate']]}"
    )
    assert rate <= max(100, slowest / 2)
    assert statistics.median(ratios.values()) > 0.99
    assert all(run["verdict"]["rankable"] or starved(run) for run in runs["equal_rate"])
