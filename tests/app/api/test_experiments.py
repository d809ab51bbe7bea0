"""Claims and experiments by the API: a claim without trials, a counted one, refusals, exports and events."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from app.experiments.catalogue import catalogue
from tests.app.driver import LabProcess, assert_problem, until

PROBE = "proactor-support"  # needs no trial


def submit(lab: LabProcess, **spec: Any) -> Any:
    answer = lab.post("/experiments", spec)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/experiments/{answer.json()['id']}"
    return answer.json()


def ended(lab: LabProcess, id: int) -> Any:
    def when_ended() -> Any:
        view = lab.get(f"/experiments/{id}")
        return view if view["state"] in ("finished", "stopped", "failed") else None

    return until(when_ended, f"experiment {id} has ended")


def test_every_claim_has_its_test_and_its_last_answers(lab: LabProcess) -> None:
    view = ended(lab, submit(lab, claim=PROBE)["id"])
    claims = lab.get("/claims")
    assert [claim["id"] for claim in claims] == list(catalogue())
    one = lab.get(f"/claims/{PROBE}")
    assert one in claims and one["answers"][0]["experiment"] == view["id"]
    assert one["answers"][0]["answer"] == view["answer"] == "holds" and view["because"]
    never_tested = next(claim for claim in claims if claim["id"] == "mainsub-scales")
    assert [each["experiment"] for each in never_tested["answers"]] == [None], "a reference answer"
    handoff = lab.get("/claims/pool-handoff-cost")
    assert (handoff["kind"], handoff["margin"], handoff["metric"]) == ("ratio", 1.1, ["cpu_us"])
    assert [entry["model"] for entry in handoff["entries"]] == ["reactor", "reactor-pool"]
    assert handoff["plan"][0]["plan"]["rate_per_s"] == 10_000 and handoff["estimate_s"] > 60
    assert_problem(lab.http.get("/api/v1/claims/nope"), 404)


def test_a_counted_claim_is_measured_and_exported(lab: LabProcess) -> None:
    view = ended(
        lab, submit(lab, claim="reactor-constant-threads", quick=True, prediction="holds", seed=5)["id"]
    )
    assert (view["state"], view["seed"], view["prediction"], view["calibration"]) == (
        "finished",
        5,
        "holds",
        None,
    )
    cells = ["connections-1", "connections-100", "connections-5000"]
    assert [each["cell"] for each in view["rounds"]] == [cell["key"] for cell in view["cells"]] == cells
    trials = [trial for each in view["rounds"] for trial in each["trials"]]
    for trial, connections in zip(trials, (1, 100, 5000), strict=True):
        run = lab.get(f"/runs/{trial['run']}")
        assert (run["experiment"], run["model"], run["plan"]["vus"]) == (view["id"], "reactor", connections)
        assert trial["values"] == {"threads_peak": run["ledger"]["threads_peak"]}

    def export(part: str) -> str:
        answer = lab.http.get(f"/api/v1/experiments/{view['id']}/{part}")
        assert answer.status_code == 200, answer.text
        assert f'filename="threadlab-experiment-{view["id"]}.' in answer.headers["content-disposition"]
        return answer.text

    rows = list(csv.DictReader(io.StringIO(export("csv"), newline="")))
    assert {(row["claim"], row["figure"]) for row in rows} == {(view["claim"], "threads_peak")}
    assert [int(row["run"]) for row in rows] == view["runs"] == [trial["run"] for trial in trials]
    assert [float(row["value"]) for row in rows] == [trial["values"]["threads_peak"] for trial in trials]
    [case] = xml.fromstring(export("junit")).findall("testsuite/testcase")
    assert case.get("name") == view["claim"]
    bundle = json.loads(export("bundle"))
    assert (bundle["format"], bundle["experiment"]) == ("threadlab-experiment", view)
    assert [each["id"] for each in bundle["runs"]] == view["runs"]
    report = export("report")
    assert view["text"] in report and "<script" not in report
    events = [each for each in lab.get("/events") if each["experiment"] == view["id"]]
    names = [each["event"] for each in events if each["event"].startswith("experiment.")]
    assert names == ["experiment.queued", *["experiment.round"] * 3, "experiment.answered"]
    metrics = lab.http.get("/metrics").text
    assert f'threadlab_experiments_total{{answer="{view["answer"]}"}}' in metrics


def test_experiments_are_listed_stopped_and_deleted(lab: LabProcess) -> None:
    first = submit(lab, claims=["reactor-stalls", PROBE], rounds=7)
    assert len(first["session"]) == 2
    assert_problem(lab.http.delete(f"/api/v1/experiments/{first['id']}"), 409)
    assert_problem(lab.http.get(f"/api/v1/experiments/{first['id']}/csv"), 409)
    assert lab.post(f"/experiments/{first['id']}/stop").status_code == 200
    stopped = ended(lab, first["id"])
    assert (stopped["state"], stopped["answer"]) == ("stopped", None)
    assert ended(lab, first["session"][1])["state"] == "finished"
    listed = [view["id"] for view in lab.get("/experiments?limit=2")]
    assert listed == [first["session"][1], first["id"]]
    assert_problem(lab.post(f"/experiments/{first['id']}/stop"), 409)
    assert_problem(lab.post(f"/experiments/{first['session'][1]}/resume"), 409)
    assert lab.http.delete(f"/api/v1/experiments/{first['id']}").status_code == 204
    assert_problem(lab.http.get(f"/api/v1/experiments/{first['id']}"), 404)


@pytest.mark.parametrize(
    ("spec", "pointers"),
    [
        ({"claim": "nope"}, ["/claims/0"]),
        ({}, ["/claims"]),
        ({"claim": PROBE, "set": "all"}, ["/claims"]),
        ({"set": "some"}, ["/set"]),
        ({"claim": PROBE, "rounds": 10}, ["/rounds"]),
        ({"claim": PROBE, "prediction": "maybe"}, ["/prediction"]),
        ({"claim": PROBE, "seed": -1}, ["/seed"]),
        ({"claim": PROBE, "margin": 2}, ["/margin"]),
    ],
)
def test_a_wrong_experiment_is_refused_with_its_field(
    lab: LabProcess, spec: dict[str, Any], pointers: list[str]
) -> None:
    before = lab.get("/experiments?limit=1")
    assert_problem(lab.post("/experiments", spec), 422, *pointers)
    assert lab.get("/experiments?limit=1") == before, "nothing is queued"
