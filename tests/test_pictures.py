"""The scripts of docs/screenshots refuse a busy machine and results that are not valid."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "docs" / "pictures" / "validity.py"
VALID_RUN: dict[str, Any] = {
    "id": 7,
    "state": "finished",
    "failure": None,
    "verdict": {
        "rankable": True,
        "title": "Not saturated",
        "because": ["Neither side was saturated."],
        "figure": "p99_us",
        "fitness": {"p99_us": None},
    },
}
RANKED: dict[str, Any] = {
    "id": 3,
    "state": "finished",
    "failure": None,
    "result": {"standings": [{"place": 1}, {"place": 2}], "said": ["A is better than B."]},
    "runs": [{"run": 8, "why_not": None}],
}


@pytest.fixture
def validity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures_validity", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.delenv(module.SKIP_VARIABLE, raising=False)
    return module


@pytest.mark.parametrize(("load_average", "refused"), [(0.2, False), (1.0, False), (1.01, True)])
def test_a_busy_machine_is_refused(
    validity: ModuleType, monkeypatch: pytest.MonkeyPatch, load_average: float, refused: bool
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load_average, 0.0, 0.0))
    if refused:
        with pytest.raises(validity.InvalidResult, match=r"1-minute load average 1.01 \(limit 1.00\)"):
            validity.require_quiet_machine()
    else:
        validity.require_quiet_machine()


def test_a_run_whose_main_figure_is_not_valid_is_refused_with_its_reason(validity: ModuleType) -> None:
    validity.require_valid_run(VALID_RUN, "the result page")
    verdict = {**VALID_RUN["verdict"], "rankable": False, "fitness": {"p99_us": "It was traced."}}
    with pytest.raises(
        validity.InvalidResult, match=r"^Run 7 \(the result page\) is not valid: It was traced\.$"
    ):
        validity.require_valid_run({**VALID_RUN, "verdict": verdict}, "the result page")


def test_a_failed_run_is_refused_with_its_failure(validity: ModuleType) -> None:
    failed = {**VALID_RUN, "state": "failed", "failure": "The engine ended.", "verdict": None}
    with pytest.raises(validity.InvalidResult, match=r"The engine ended\."):
        validity.require_valid_run(failed, "the result page")


def test_a_comparison_without_a_ranking_is_refused_with_the_reasons_of_its_trials(
    validity: ModuleType,
) -> None:
    validity.require_ranked_comparison(RANKED, "the page of a comparison")
    result = {"standings": [{"place": None}, {"place": None}], "said": ["No winner."]}
    runs = [{"run": 8, "why_not": "The load generator was the limit."}]
    with pytest.raises(
        validity.InvalidResult, match=r"No winner\. run 8: The load generator was the limit\."
    ):
        validity.require_ranked_comparison(
            {**RANKED, "result": result, "runs": runs}, "the page of a comparison"
        )
