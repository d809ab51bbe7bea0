"""The diff of two runs: significant changes, noise, and setup differences."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from app.history.diff import FigureChange, RunDiff, diff_runs
from app.history.noise import MACHINE, OFFERED, count_noise, noise, standard_error
from tests.app.driver import LabProcess, assert_problem, light
from tests.app.stored_runs import LEDGER, PERCENTILES, VIEW, stored_run, verdict

SUMMARY = VIEW["summary"]
COLUMNS = [
    "t_s",
    "phase",
    "achieved_per_s",
    "service_p50_us",
    "service_p99_us",
    "response_p50_us",
    "response_p99_us",
    "cpu_percent",
]


def figures(found: RunDiff) -> dict[tuple[str, str], FigureChange]:
    return {(each.group, each.name): each for each in found.figures}


def simulated(
    chance: random.Random, factor: float = 1.0, seconds: int = 10, spread: float = 0.05
) -> tuple[Any, Any]:
    """Return a run of a machine that drifts by 4 % (seconds vary around the drift), and its series."""
    drift = factor * chance.gauss(1, 0.04)

    def rows() -> list[float]:
        return [drift * max(0.1, chance.gauss(1, spread)) for _ in range(seconds)]

    rate, p50, p99, cpu = ([scale * each for each in rows()] for scale in (10_000, 100, 900, 12))
    series = {
        "columns": COLUMNS,
        "rows": [
            [float(t), "measure", r, m, n, m, n, 100 * c * r / 1e6]
            for t, (r, m, n, c) in enumerate(zip(rate, p50, p99, cpu, strict=True))
        ],
    }
    latency = PERCENTILES | {
        "count": 100_000,
        "p50_us": sum(p50) / seconds,
        "p90_us": 3 * sum(p50) / seconds,
        "p99_us": sum(p99) / seconds,
        "p999_us": 2 * sum(p99) / seconds,
        "mean_us": 1.2 * sum(p50) / seconds,
    }
    summary = SUMMARY | {
        "achieved_per_s": sum(rate) / seconds,
        "requests": 100_000,
        "latency": {"service": latency, "response": latency},
        "errors": {"reset": sum(chance.random() < 0.5 for _ in range(40))},
    }
    ledger = LEDGER | {
        "cpu_us": sum(cpu) / seconds,
        "io_calls": 2.0 * drift,
        "voluntary_switches": 1e-4 * rows()[0],
    }
    return stored_run(summary=summary, ledger=ledger), series


def compared(chance: random.Random, factor: float, **more: Any) -> RunDiff:
    a, rows_a = simulated(chance, **more)
    b, rows_b = simulated(chance, factor, **more)
    return diff_runs(a, b, rows_a, rows_b)


@pytest.mark.parametrize(
    "spread", [pytest.param(0.02, marks=pytest.mark.full), 0.1, pytest.param(0.3, marks=pytest.mark.full)]
)
def test_equal_runs_rarely_differ_significantly(spread: float) -> None:
    chance = random.Random(1)
    judged = [
        each.larger
        for _ in range(60)
        for each in compared(chance, 1.0, spread=spread).figures
        if each.larger is not None
    ]
    assert len(judged) > 60 * 15
    assert sum(judged) / len(judged) < 0.01


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_change_by_a_factor_of_two_is_significant(factor: float) -> None:
    found = figures(compared(random.Random(2), factor))
    for key in (
        ("Rate", "achieved_per_s"),
        ("Response time", "p50_us"),
        ("Service time", "p99_us"),
        ("Cost per request", "cpu_us"),
    ):
        assert found[key].larger, key
        assert found[key].percent == pytest.approx(100 * (factor - 1), abs=40)


def test_a_large_spread_of_seconds_hides_a_change() -> None:
    steady, varying = ([10.0, 10.1, 9.9, 10.0, 10.2, 9.8] * 2, [2.0, 18.0, 9.0, 16.0, 4.0, 11.0] * 2)
    assert noise(10, 13, seconds=(steady, steady)) == noise(10, 13)
    assert noise(10, 13, seconds=(varying, varying)).basis == "seconds"
    assert noise(10, 13).width < 3 < noise(10, 13, seconds=(varying, varying)).width


def test_a_single_outlier_does_not_widen_the_noise() -> None:
    assert standard_error([10, 10, 11, 10, 9, 10, 11, 9, 10, 500]) == pytest.approx(
        standard_error([10, 10, 11, 10, 9, 10, 11, 9, 10, 12]), rel=0.3
    )


def test_correlated_seconds_count_as_fewer_samples() -> None:
    slow = [10.0] * 6 + [12.0] * 6
    assert (standard_error(slow) or 0) > 1.5 * (standard_error([10.0, 12.0] * 6) or 0)


def test_too_few_seconds_have_no_standard_error() -> None:
    assert standard_error([1, 2, 3, 4]) is None
    assert noise(100, 100, seconds=([1, 99, 1, 99], [1, 99, 1, 99])).width == pytest.approx(100 * MACHINE)


def test_an_offered_rate_has_a_noise_of_one_percent() -> None:
    offered = {"plan": VIEW["plan"] | {"executor": "constant-arrival-rate"}}
    a = stored_run(
        **offered, summary=SUMMARY | {"offered_per_s": 1000.0, "achieved_per_s": 1000.0, "rate_ratio": 1.0}
    )
    b = stored_run(
        **offered, summary=SUMMARY | {"offered_per_s": 1000.0, "achieved_per_s": 950.0, "rate_ratio": 0.95}
    )
    found = figures(diff_runs(a, b, {}, {}))
    rate, ratio = found["Rate", "achieved_per_s"], found["Rate", "rate_ratio"]
    assert (rate.larger, rate.basis, ratio.larger) == (True, "offered", True)
    assert rate.noise == pytest.approx(1000 * OFFERED)
    closed = figures(
        diff_runs(stored_run(summary=a_summary(1000.0)), stored_run(summary=a_summary(950.0)), {}, {})
    )
    assert closed["Rate", "achieved_per_s"].larger is False


def a_summary(rate: float) -> dict[str, Any]:
    return {**SUMMARY, "achieved_per_s": rate}


def test_the_noise_is_the_same_in_both_directions() -> None:
    assert noise(100, 118) == noise(118, 100)
    assert count_noise(0, 9) == count_noise(9, 0)


@pytest.mark.parametrize(
    ("a", "b", "larger"), [(0, 0, False), (0, 5, False), (0, 20, True), (100, 120, False), (100, 200, True)]
)
def test_the_noise_of_counts_grows_with_their_square_root(a: int, b: int, larger: bool) -> None:
    assert (abs(a - b) > count_noise(a, b).width) == larger


def test_a_percentile_of_few_samples_has_more_noise() -> None:
    few, many = noise(100, 150, samples=(10, 10)), noise(100, 150, samples=(1e6, 1e6))
    assert few.width > 50 > many.width and (few.basis, many.basis) == ("samples", "machine")


def test_a_maximum_is_not_judged_and_an_unknown_figure_has_no_change() -> None:
    a, b = stored_run(ledger=LEDGER), stored_run(ledger=LEDGER | {"cpu_us": None, "io_calls": 0.0})
    found = figures(diff_runs(a, b, {}, {}))
    assert found["Service time", "max_us"].larger is None and found["Service time", "max_us"].change == 0
    tail = found["Service time", "p999_us"]
    assert (tail.a, tail.change, tail.percent, tail.noise, tail.larger) == (None,) * 5
    assert ("Cost per request", "cpu_us") not in found or found["Cost per request", "cpu_us"].change is None
    gone = found["Cost per request", "io_calls"]
    assert (gone.b, gone.percent) == (0.0, -100.0)
    back = figures(diff_runs(b, a, {}, {}))["Cost per request", "io_calls"]
    assert back.percent is None and back.change == 2.0, "a change from 0 has no percentage"


def test_every_number_is_finite() -> None:
    for each in compared(random.Random(3), 1.0).figures:
        assert all(
            value is None or math.isfinite(value) for value in (each.a, each.b, each.change, each.noise)
        )


def test_setup_differences_are_listed_with_notes() -> None:
    a = stored_run(environment={"kernel": "6.1", "load_average": 0.1, "cores": 2})
    b = stored_run(
        id=2,
        knobs={"idle_s": 15, "workers": 4},
        plan=VIEW["plan"] | {"vus": 128},
        environment={"kernel": "6.2", "load_average": 7.5, "cores": 2},
        verdict=verdict("noisy"),
    )
    found = diff_runs(a, b, {}, {})
    assert [(each.kind, each.name, each.a, each.b) for each in found.unlike] == [
        ("plan", "vus", 64, 128),
        ("knobs", "workers", None, 4),
        ("environment", "kernel", "6.1", "6.2"),
    ]
    notes = " ".join(found.notes)
    assert not found.same_load
    for each in (
        "several settings: vus, knob workers and environment",
        "The loads differ",
        "load average 7.5",
        "Run 2 is excluded from ranking",
    ):
        assert each in notes
    assert figures(found)["Rate", "errors"].larger is None, "counts under different loads cannot be compared"


def test_knobs_that_only_one_model_has_are_not_a_separate_diff_runs() -> None:
    found = diff_runs(
        stored_run(), stored_run(id=2, model="reactor-pool", knobs={"idle_s": 15, "workers": 4}), {}, {}
    )
    assert [each.name for each in found.unlike] == ["model", "workers"]
    assert found.notes == (), "only one setting differs"


def test_work_mixes_are_compared_by_their_shares() -> None:
    def mixed(*weights: int) -> dict[str, Any]:
        work = [{"kind": "sleep", "weight": weight, "params": {"ms": i}} for i, weight in enumerate(weights)]
        return {"plan": VIEW["plan"] | {"work": work}}

    assert diff_runs(stored_run(**mixed(1, 3)), stored_run(**mixed(25, 75)), {}, {}).same_load
    assert not diff_runs(stored_run(**mixed(1, 3)), stored_run(**mixed(1, 4)), {}, {}).same_load


def test_equal_runs_have_no_differences_and_no_notes() -> None:
    found = diff_runs(stored_run(), stored_run(id=2), {}, {})
    assert (found.same_load, found.unlike, found.notes) == (True, (), ())


@pytest.mark.parametrize("broken", [{"summary": None}, {"summary": None, "verdict": None, "state": "failed"}])
def test_a_run_without_figures_is_noted(broken: dict[str, Any]) -> None:
    found = diff_runs(stored_run(), stored_run(id=2, **broken), {}, {})
    assert any("has no figures" in note for note in found.notes)


def test_work_kinds_are_compared_by_label() -> None:
    def kind(label: str, p50: float) -> dict[str, Any]:
        times = PERCENTILES | {"p50_us": p50}
        return {"label": label, "requests": 500, "errors": 0, "service": times, "response": times}

    a = stored_run(summary=SUMMARY | {"by_kind": [kind("plaintext", 80.0), kind("sleep ms=5", 5000.0)]})
    b = stored_run(summary=SUMMARY | {"by_kind": [kind("sleep ms=5", 20_000.0), kind("plaintext", 80.0)]})
    found = figures(diff_runs(a, b, {}, {}))
    assert found["sleep ms=5, service time", "p50_us"].larger is True
    assert found["plaintext, service time", "p50_us"].larger is False


def test_two_real_runs_side_by_side(lab: LabProcess) -> None:
    one = lab.run(model="reactor", plan=light(rate_per_s=100))
    two = lab.run(model="reactor", plan=light(rate_per_s=300))
    found = lab.get(f"/runs/{one['id']}/diff/{two['id']}")
    assert [(each["name"], each["a"], each["b"]) for each in found["unlike"] if each["kind"] == "plan"] == [
        ("rate_per_s", 100, 300)
    ]
    rate = next(each for each in found["figures"] if each["name"] == "achieved_per_s")
    assert (rate["a"], rate["b"]) == (one["summary"]["achieved_per_s"], two["summary"]["achieved_per_s"])
    assert rate["larger"] in (True, False), "its change is judged"
    assert rate["change"] == pytest.approx(rate["b"] - rate["a"])
    text = lab.http.get(f"/runs/diff?a={one['id']}&b={two['id']}").text
    assert "The loads differ" in text and "rate_per_s" in text
    picked = lab.http.get("/runs/diff", params={"run": [two["id"], one["id"]]})
    assert (picked.status_code, picked.headers["location"]) == (
        303,
        f"/runs/diff?a={one['id']}&b={two['id']}",
    )
    assert lab.http.get("/runs/diff", params={"run": one["id"]}).status_code == 422
    assert_problem(lab.http.get(f"/api/v1/runs/{one['id']}/diff/99999"), 404)
