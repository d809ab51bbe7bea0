"""Comparisons: rounds of random order, each trial a run like any other; invalid trials are not ranked."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import json
import re
import statistics
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
from markupsafe import escape

from app.comparisons.aggregate import compute_result
from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.entries import parse_entries
from app.comparisons.ranking import RULE, rank
from app.lab import Lab
from app.rounds.schedule import RoundSchedule
from app.schemas.comparison import ComparisonView
from tests.app.driver import (
    LabProcess,
    assert_problem,
    endless,
    light,
    load_launchables_once,
    plan,
    run_in_lab,
    until,
)

TINY = light(0.5, 0.1)
POOL = {"model": "reactor-pool", "knobs": {"workers": 2}}
ENTRIES = ["reactor", POOL]
ROUNDS, SEED = 2, 7
REACTOR_FIRST = 0  # a seed with which the first round begins with the first entry
LABEL = "a note & <b>no tag</b>"


def submit(lab: LabProcess, **spec: Any) -> Any:
    answer = lab.post("/comparisons", {"plan": TINY, **spec})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/comparisons/{answer.json()['id']}"
    return answer.json()


@pytest.fixture(scope="module")
def compared(shared_lab: LabProcess) -> tuple[LabProcess, Any]:
    """Return a lab with a finished comparison, which the tests share."""
    return shared_lab, shared_lab.compare(
        ENTRIES, plan=TINY, trials=ROUNDS, seed=SEED, label=LABEL, thresholds=["p(50)<60s"]
    )


def test_an_internal_error_fails_the_comparison_and_not_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = iter([True])

    def fail_once(*args: Any) -> Any:
        if next(broken, False):
            raise TypeError("unexpected")
        return compute_result(*args)

    async def play(lab: Lab) -> list[ComparisonView]:
        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: logged.append(context["exception"])
        )
        ended = []
        for _ in range(2):
            view = await lab.comparisons.submit(
                ComparisonRequest(models=["reactor", "blocking"], plan=TINY, rounds=1)
            )
            await lab.comparisons.active[view.id].done.wait()
            ended.append(lab.comparisons.get(view.id))
        assert [type(error) for error in logged] == [TypeError], "the log has the traceback"
        lab.require_ready()
        return ended

    monkeypatch.setattr("app.comparisons.entry_runs.compute_result", fail_once)
    first, second = run_in_lab(tmp_path, play)
    assert first.state == "failed" and "TypeError: unexpected" in (first.failure or "")
    assert second.state == "finished" and second.result


def test_entries_have_letters_and_unique_names() -> None:
    entries, knobs = parse_entries(load_launchables_once(), ["reactor", POOL, "reactor"])
    assert [(entry.letter, entry.model, entry.knobs) for entry in entries] == [
        ("A", "reactor", {}),
        ("B", "reactor-pool", {"workers": 2}),
        ("C", "reactor", {}),
    ]
    names = [entry.name for entry in entries]
    assert len(set(names)) == 3 and "workers 2" in names[1]
    assert [dict(each) for each in knobs] == [{}, {"workers": 2}, {}]


def test_a_round_has_each_entry_in_random_order_and_each_trial_is_a_run_of_the_history(
    compared: tuple[LabProcess, Any],
) -> None:
    lab, view = compared
    assert (view["state"], view["progress"], view["failure"], view["label"]) == ("finished", 1.0, None, LABEL)
    assert view["seed"] == SEED
    schedule = RoundSchedule([(0, 1)], lambda _: ROUNDS, SEED)
    orders = []
    for number in range(1, ROUNDS + 1):
        own = [run for run in view["runs"] if run["trial"] == number]
        orders.append((schedule.next_order(), tuple(run["entry"] for run in own)))
        void = {run["entry"] for run in own if run["why_not"]}
        schedule.record(orders[-1][1], [void])
    assert all(planned == measured for planned, measured in orders)
    for trial in view["runs"]:
        run = lab.get(f"/runs/{trial['run']}")
        assert (run["comparison"], run["model"]) == (view["id"], view["entries"][trial["entry"]]["model"])
        assert run["plan"]["rate_per_s"] == 100 and run["plan"]["warmup_s"] == 0.1
        assert run["summary"]["requests"] == 50
        assert trial["achieved_per_s"] == run["summary"]["achieved_per_s"]
        assert trial["cpu_us"] == (run["ledger"] or {"cpu_us": None})["cpu_us"]
        assert [(each["text"], each["breached"]) for each in trial["thresholds"]] == [("p(50)<60s", False)]
        assert (trial["why_not"] is None) <= run["verdict"]["rankable"]
    ids = [trial["run"] for trial in view["runs"]]
    engines = {lab.get(f"/runs/{id}")["engine"] for id in ids}
    assert ids == sorted(ids) and len(engines) == len(ids), "a new engine for each"
    assert lab.get(f"/runs/{ids[1]}")["knobs"]["workers"] == 2


def test_the_result_is_the_ranking_of_the_valid_trials(compared: tuple[LabProcess, Any]) -> None:
    _, view = compared
    result = view["result"]
    assert (view["view"], result["metric"], view["rule"]) == ("equal-rate", "cpu_us", RULE)
    valid = [
        {r["trial"]: r["cpu_us"] for r in view["runs"] if r["entry"] == i and r["why_not"] is None}
        for i in range(2)
    ]
    ranking, costs = rank(valid, True), [list(each.values()) for each in valid]
    (pair,) = ranking.pairs
    assert (result["pairs"][0]["ratios"], result["pairs"][0]["relation"]) == ([*pair.ratios], pair.relation)
    assert [each["place"] for each in result["standings"]] == [ranking.places.get(i) for i in range(2)]
    assert tuple(result["order"][: len(ranking.order)]) == ranking.order and sorted(result["order"]) == [0, 1]
    assert tuple(map(tuple, result["groups"])) == ranking.groups
    for i, standing in enumerate(result["standings"]):
        own = [run for run in view["runs"] if run["entry"] == i]
        assert (standing["ranked"], standing["trials"]) == (len(costs[i]), len(own))
        usable = costs[i] or [run["cpu_us"] for run in own if run["cpu_us"] is not None]
        cost = standing["figures"]["cpu_us"]
        if not usable:
            assert cost is None
            continue
        assert cost["median"] == pytest.approx(statistics.median(usable))
        assert (cost["n"], cost["minimum"], cost["maximum"]) == (len(usable), min(usable), max(usable))
    assert result["said"] and all(sentence.endswith(".") for sentence in result["said"])


def test_percentiles_come_from_the_merged_histograms(compared: tuple[LabProcess, Any]) -> None:
    lab, view = compared
    curves = lab.get(f"/comparisons/{view['id']}/percentiles")["entries"]
    for i, standing in enumerate(view["result"]["standings"]):
        own = [run for run in view["runs"] if run["entry"] == i]
        usable = [run for run in own if run["why_not"] is None] or own
        total = sum(lab.get(f"/runs/{run['run']}")["summary"]["requests"] for run in usable)
        assert curves[i]["count"] == standing["latency"]["response"]["count"] == total
        median = next(us for share, us in curves[i]["response"] if share == 0.5)
        assert median == standing["latency"]["response"]["p50_us"]


def test_comparisons_are_listed_newest_first(compared: tuple[LabProcess, Any]) -> None:
    lab, view = compared
    ids = [each["id"] for each in lab.get("/comparisons")]
    assert view["id"] in ids and ids == sorted(ids, reverse=True)
    assert [each["id"] for each in lab.get("/comparisons?offset=1")] == ids[1:]
    assert lab.get(f"/comparisons?limit=1&offset={ids.index(view['id'])}") == [view]
    assert_problem(lab.http.get("/api/v1/comparisons/99999"), 404)
    assert_problem(lab.http.post(f"/api/v1/comparisons/{view['id']}/stop"), 409)


def export(lab: LabProcess, view: Any, part: str) -> str:
    answer = lab.http.get(f"/api/v1/comparisons/{view['id']}/{part}")
    assert answer.status_code == 200, answer.text
    assert f'filename="threadlab-comparison-{view["id"]}.' in answer.headers["content-disposition"]
    return answer.text


def test_a_comparison_can_be_exported_as_files(compared: tuple[LabProcess, Any]) -> None:
    lab, view = compared
    rows = list(csv.DictReader(io.StringIO(export(lab, view, "csv"), newline="")))
    assert [(row["entry"], int(row["trial"]), int(row["run"])) for row in rows] == [
        ("AB"[run["entry"]], run["trial"], run["run"]) for run in view["runs"]
    ]
    assert [row["cpu_us"] and float(row["cpu_us"]) for row in rows] == [
        run["cpu_us"] or "" for run in view["runs"]
    ]
    suites = xml.fromstring(export(lab, view, "junit")).findall("testsuite")
    assert [suite.get("tests") for suite in suites] == ["1"] + ["2"] * len(view["runs"])
    cases = [
        (case.get("classname"), case.get("name")) for suite in suites for case in suite.findall("testcase")
    ]
    assert len(set(cases)) == len(cases), "a build server keeps one case per class and name"
    bundle = json.loads(export(lab, view, "bundle"))
    assert (bundle["format"], bundle["comparison"]) == ("threadlab-comparison", view)
    assert [run["id"] for run in bundle["runs"]] == [run["run"] for run in view["runs"]]
    assert bundle["percentiles"] == lab.get(f"/comparisons/{view['id']}/percentiles")


def test_the_report_is_self_contained(compared: tuple[LabProcess, Any]) -> None:
    lab, view = compared
    report = export(lab, view, "report")
    assert escape(LABEL) in report and "<b>no" not in report
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import", report)
    values = [run["value"] for run in view["runs"] if run["value"] is not None]
    assert report.count('class="curve ') == 2 and report.count('class="dot') == len(values)
    assert html.escape(view["rule"], quote=False) in report
    for sentence in view["result"]["said"]:
        assert escape(sentence) in report


@pytest.mark.parametrize(
    ("spec", "pointers"),
    [
        ({"models": []}, ["/models"]),
        ({"models": ["nope"]}, ["/models/0"]),
        ({"models": ["reactor", {"model": "reactor", "knobs": {"workers": 2}}]}, ["/models/1/knobs/workers"]),
        ({"models": ["reactor"], "trials": 10}, ["/trials"]),
        ({"models": ["reactor"], "rounds": 0}, ["/rounds"]),
        ({"models": ["reactor"], "seed": -1}, ["/seed"]),
        ({"models": ["reactor"], "view": "ceiling"}, ["/view"]),
        ({"models": ["reactor"], "plan": {"executor": "find-capacity", "objective": "p(99)<1s"}}, ["/view"]),
        ({"models": ["reactor"], "plan": {}, "scenario": "nope"}, ["/scenario"]),
        ({"models": ["reactor"], "plan": {"duration_s": 0}}, ["/plan/duration_s"]),
        ({"models": ["reactor"], "thresholds": ["p99"]}, ["/thresholds/0"]),
        ({"models": ["reactor"], "plan": plan(vus=10_000), "view": "ceiling"}, ["/plan/vus"]),
    ],
)
def test_an_invalid_comparison_is_refused_with_its_fields(
    lab: LabProcess, spec: dict[str, Any], pointers: list[str]
) -> None:
    if "vus" in spec.get("plan", {}):
        spec = {**spec, "models": [{"model": "reactor", "knobs": {"max_connections": 100}}]}
    before = lab.get("/comparisons?limit=1")
    assert_problem(lab.post("/comparisons", {"plan": TINY, **spec}), 422, *pointers)
    assert lab.get("/comparisons?limit=1") == before, "nothing is queued"


def test_a_stopped_comparison_keeps_its_finished_trials(lab: LabProcess) -> None:
    """Nine rounds take nine times as long as one, so the comparison is still running after the first."""
    running = submit(lab, models=["reactor"], rounds=9, plan=light(0.5))
    waiting = submit(lab, models=["reactor"])
    now = until(
        lambda: view if (view := lab.get(f"/comparisons/{running['id']}"))["runs"] else None,
        "a trial has ended",
    )
    assert now["state"] == "running" and 0 < now["progress"] < 1 and now["left_s"] > 0
    assert lab.get(f"/comparisons/{waiting['id']}")["state"] == "queued", "one at a time"
    assert_problem(lab.http.delete(f"/api/v1/comparisons/{running['id']}"), 409)
    assert lab.post(f"/comparisons/{waiting['id']}/stop").json()["state"] == "stopped", (
        "stopped at once, as none of its trials has begun"
    )
    assert lab.post(f"/comparisons/{running['id']}/stop").status_code == 200
    view = lab.wait_compared(running["id"])
    assert view["state"] == "stopped" and 1 <= len(view["runs"]) < 9
    assert view["result"]["standings"][0]["trials"] == len(view["runs"])
    last = lab.wait_compared(waiting["id"])
    assert (last["state"], last["runs"], last["result"]) == ("stopped", [], None)


def test_a_stopped_trial_is_shown_and_not_ranked(lab: LabProcess) -> None:
    running = submit(lab, models=["reactor", "blocking"], plan=endless(), seed=REACTOR_FIRST)
    run = until(lambda: lab.get(f"/comparisons/{running['id']}")["current"], "a trial has begun")
    lab.wait_measuring(run)
    assert lab.post(f"/comparisons/{running['id']}/stop").status_code == 200
    view = lab.wait_compared(running["id"])
    (trial,) = view["runs"]
    assert (trial["run"], trial["state"]) == (run, "stopped") and trial["why_not"]
    assert trial["achieved_per_s"] > 0, "the measurement is shown"
    assert [(each["place"], each["ranked"], each["trials"]) for each in view["result"]["standings"]] == [
        (None, 0, 1),
        (None, 0, 0),
    ]
    assert view["result"]["said"][0].startswith("No winner: fewer than two valid models. No model has ")
    skipped = xml.fromstring(export(lab, view, "junit")).find("testsuite/testcase/skipped")
    assert skipped is not None and skipped.get("message") == view["result"]["said"][0]


def test_without_a_load_a_comparison_has_that_of_its_view(lab: LabProcess) -> None:
    running = submit(lab, models=["reactor"], plan=endless())
    for spec, view, scenario in (
        ({}, "equal-rate", "equal-rate"),
        ({"view": "ceiling"}, "ceiling", "sprint"),
    ):
        answer = lab.post("/comparisons", {"models": ["reactor"], **spec})
        assert answer.status_code == 201, answer.text
        queued = answer.json()
        assert (queued["view"], queued["scenario"]) == (view, scenario)
        assert lab.post(f"/comparisons/{queued['id']}/stop").json()["state"] == "stopped"
    lab.post(f"/comparisons/{running['id']}/stop")


@pytest.mark.parametrize("with_runs", [False, True])
def test_deleting_a_comparison_keeps_its_runs_unless_requested(lab: LabProcess, with_runs: bool) -> None:
    view = lab.compare(["reactor"], plan=light())
    run = view["runs"][0]["run"]
    assert lab.http.delete(f"/api/v1/comparisons/{view['id']}", params={"runs": with_runs}).status_code == 204
    assert_problem(lab.http.get(f"/api/v1/comparisons/{view['id']}"), 404)
    if with_runs:
        assert_problem(lab.http.get(f"/api/v1/runs/{run}"), 404)
    else:
        assert lab.get(f"/runs/{run}")["comparison"] is None
