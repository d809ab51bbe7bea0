"""A run with load groups: queued by the API, the form or the command line, and shown wherever a result is."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from app.load.protocol.outcome import Outcome
from app.results.figures import figure
from tests.app.driver import Command, LabProcess, assert_problem, light, plan

SLEEP = {"kind": "sleep", "weight": 1, "params": {"ms": 1}}
GROUPS: list[dict[str, Any]] = [
    {"name": "new", "vus": 4, "rate_per_s": 60, "churn": True},
    {"name": "slow", "vus": 2, "think_time_ms": 5, "work": [SLEEP, {"kind": "plaintext"}]},
]
TEXT = "new: 4 connections, 60 req/s, churn; slow: 2 connections, think 5 ms, 50% sleep 1ms, 50% plaintext"


@pytest.fixture(scope="module")
def run(shared_lab: LabProcess) -> Any:
    """Return a run with two groups. Tests must not change it."""
    return shared_lab.run(model="reactor-pool", plan=light(1.0, 0.2, groups=GROUPS))


def test_each_group_has_its_own_summary_and_all_requests_are_counted(run: Any) -> None:
    summary = run["summary"]
    new, slow = (summary["groups"][name] for name in ("new", "slow"))
    assert [summary["requests"], new["requests"], new["offered_per_s"]] == [100, 60, 60]
    assert [each["label"] for each in slow["by_kind"]] == ["sleep ms=1", "plaintext"]
    assert slow["requests"] == sum(each["requests"] for each in slow["by_kind"]) > 0
    assert new["latency"]["response"]["count"] == 60 and new["latency"]["response"]["p50_us"] > 0
    evidence = run["verdict"]["evidence"]
    assert evidence["requests"] == 100 + 60 + slow["requests"] and evidence["errors"] == 0
    assert evidence["answered"] == evidence["counted"] > evidence["requests"], "with those of the warm-up"
    assert {"new:p50_us", "new:achieved_per_s", "slow:plaintext.p99_us"} <= run["verdict"]["fitness"].keys()


def test_requests_per_connection_are_those_of_each_load(run: Any) -> None:
    summary = run["summary"]
    fair, slow = summary["fairness"], summary["groups"]["slow"]["fairness"]
    assert (fair["connections"], slow["connections"]) == (8, 2)
    assert summary["groups"]["new"]["fairness"] is None, "with churn each connection has one request"
    assert 0 <= fair["requests_min"] <= fair["requests_mean"] <= fair["requests_max"]
    assert 1 / 8 <= fair["jain"] <= 1 + 1e-9


def test_the_plan_says_what_the_groups_are(run: Any) -> None:
    assert "load group new (60 req/s, at most 4 connections, a new connection" in run["plan_text"]
    assert run["title"].endswith(" · group new · group slow")
    assert run["plan"]["groups"][0] == {
        **{"name": "new", "vus": 4, "rate_per_s": 60.0, "churn": True, "think_time_ms": 0.0},
        "work": [{"kind": "plaintext", "weight": 1, "params": {}}],
    }


def test_pages_and_exports_have_the_groups(shared_lab: LabProcess, run: Any) -> None:
    id, new = run["id"], run["summary"]["groups"]["new"]
    p50 = figure("new:p50_us").text(new["latency"]["response"]["p50_us"])
    for path in (f"/runs/{id}", f"/api/v1/runs/{id}/report"):
        html = shared_lab.http.get(path).text
        text = " ".join(re.sub(r"<[^>]*>", " ", html).split())
        assert "Load groups" in text and "Requests per connection" in text, path
        assert p50 in text and "Jain index" in text
    rows = list(csv.DictReader(io.StringIO(shared_lab.http.get(f"/api/v1/runs/{id}/csv").text)))
    measured = [row for row in rows if row["phase"] == "measure"]
    assert [float(row["new:achieved_per_s"]) for row in measured if row["new:achieved_per_s"]]
    bundle = json.loads(shared_lab.http.get(f"/api/v1/runs/{id}/bundle").text)
    assert bundle["run"]["summary"]["groups"]["new"] == new
    outcome = Outcome.from_json(bundle["outcome"])
    assert outcome.groups["new"].requests == 60 and outcome.groups["slow"].per_connection


def test_the_form_starts_the_same_groups_and_shows_those_of_a_run(shared_lab: LabProcess, run: Any) -> None:
    fields = {name: str(value) for name, value in light(1.0, 0.2).items()}
    form = {**fields, "engine": "model:reactor", "scenario": "", "groups": TEXT}
    started = shared_lab.http.post("/runs", data=form)
    assert started.status_code == 303
    again = shared_lab.wait_ended(int(started.headers["location"].rpartition("/")[2]))
    assert again["plan"]["groups"] == run["plan"]["groups"]
    page = shared_lab.http.get(f"/workbench?again={run['id']}").text
    groups = "new: 4 connections, 60 req/s, churn, 100% plaintext; slow: 2 connections, think 5 ms, "
    assert f'value="{groups}50% sleep 1ms, 50% plaintext"' in page
    assert re.search(r'id="load-more"[^>]*open', page), "the section with the field is open"
    refused = shared_lab.http.post("/runs", data={**form, "groups": "new: 0 connections"})
    assert refused.status_code == 422 and 'id="f-groups-problem"' in refused.text


@pytest.mark.parametrize(
    ("group", "pointer"),
    [
        ({"name": "new", "vus": 0}, "/plan/groups/0/vus"),
        ({"name": "N"}, "/plan/groups/0/name"),
        ({"vus": 3}, "/plan/groups/0/name"),
        ({"name": "new", "shards": 2}, "/plan/groups/0/shards"),
        ({"name": "new", "work": [{"kind": "nap"}]}, "/plan/groups/0/work/0/kind"),
    ],
)
def test_a_wrong_group_is_refused_at_its_field(lab: LabProcess, group: dict[str, Any], pointer: str) -> None:
    assert_problem(lab.post("/runs", {"model": "reactor", "plan": {"groups": [group]}}), 422, pointer)


def test_connections_of_groups_count_for_the_limit_of_the_engine(lab: LabProcess) -> None:
    spec = {"model": "blocking", "knobs": {"max_connections": 9}}
    for vus, status in ((1, 201), (2, 422)):
        load = light(0.5, groups=[{"name": "new", "vus": vus, "think_time_ms": 50}])
        assert lab.post("/runs", {**spec, "plan": load}).status_code == status


def test_the_command_line_prints_each_group(command: Command) -> None:
    flags = ["--vus", "2", "--think", "5", "--duration", "0.5", "--warmup", "0", "--timeout", "60"]
    done = command(
        "run", "reactor", *flags, "--group", "a: 2 connections, 40 req/s", "--group", "b: think 5ms"
    )
    assert done.returncode == 0, done.stderr
    assert "group a: 40 of 40 requests/s; 20 scheduled: 20 answered" in done.stdout
    assert re.search(
        r"group b: requests per connection \d+ to \d+ on 8 connections; Jain index \d", done.stdout
    )
    assert re.search(r"^  requests per connection \d+ to \d+ on 2 connections", done.stdout, re.MULTILINE)
    wrong = command("run", "reactor", "--group", "a: 2 connections, 40 req/s, think 5ms")
    assert wrong.returncode == 2 and "--group: A load group with a rate" in wrong.stderr


def test_a_run_without_groups_has_no_section_for_them(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=plan(0.5, 0, churn=True, think_time_ms=10, timeout_s=60))
    assert (run["summary"]["groups"], run["summary"]["fairness"]) == ({}, None)
    page = lab.http.get(f"/runs/{run['id']}").text
    assert 'id="groups"' not in page and 'id="fairness"' not in page
