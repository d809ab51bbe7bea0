"""The history: filter, labels, deletion and export, over REST and as plain forms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.app.driver import LabProcess, assert_problem, endless
from tests.app.in_process_lab import InProcessLab
from tests.app.stored_runs import LEDGER, VIEW, keep, verdict

SUMMARY = VIEW["summary"]
RUNS: list[dict[str, Any]] = [
    {"label": "Ärger mit 100% CPU", "ledger": LEDGER, "comment": "Warm room,\nfan off"},
    {
        "model": "blocking",
        "model_title": "Blocking",
        "scenario": None,
        "title": "Plaintext",
        "knobs": {"max_threads": 500},
        "summary": SUMMARY | {"achieved_per_s": 2000.0},
        "verdict": verdict("client_bound"),
        "created_at": "2026-11-02T23:59:59.999Z",
    },
    {
        "model": "reactor-pool",
        "model_title": "Reactor pool",
        "state": "failed",
        "summary": None,
        "verdict": None,
        "failure": "It broke.",
        "created_at": "2026-11-03T00:00:00.000Z",
        "label": "=1+1",
    },
    {
        "scenario": "slow-handler",
        "verdict": verdict("noisy"),
        "comparison": 4,
        "engine": "reactor-2",
        "ledger": LEDGER | {"cpu_us": 10.0},
        "created_at": "2026-11-04T12:00:00.000Z",
    },
]
COLUMNS = [
    "id",
    "created_at",
    "finished_at",
    "state",
    "model",
    "scenario",
    "label",
    "engine",
    "knobs",
    "plan",
    "comparison",
    "verdict",
    "rankable",
    "requests",
    "errors",
    "offered_per_s",
    "achieved_per_s",
    "service_p50_us",
    "service_p99_us",
    "response_p50_us",
    "response_p99_us",
    "response_max_us",
    "cpu_us_per_request",
    "io_calls_per_request",
    "threads_peak",
    "rss_bytes_peak",
    "failure",
    "jain",
    "comment",
]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Yield a lab with four runs in its history. Tests must not change it."""
    folder = tmp_path_factory.mktemp("lab")
    keep(folder, *RUNS)
    with closing(InProcessLab(folder)) as lab:
        yield lab


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Yield a lab with eight runs in its history, each of which only one test changes."""
    folder = tmp_path_factory.mktemp("lab")
    keep(folder, *RUNS, *RUNS)
    with closing(InProcessLab(folder)) as lab:
        yield lab


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 3, 2, 1]),
        ("model=reactor", [4, 1]),
        ("scenario=sprint", [3, 1]),
        ("scenario=by-hand", [2]),
        ("verdict=client_bound", [2]),
        ("state=failed", [3]),
        ("rankable=true", [1]),
        ("rankable=false", [4, 2]),
        ("comparison=4", [4]),
        ("text=ärger", [1]),
        ("text=ÄRGER+cpu", [1]),
        ("text=100%25", [1]),
        ("text=%25", [1]),
        ("text=a_threads", []),
        ("text=max_threads%3D500", [2]),
        ("text=reactor-2", [4]),
        ("text=nowhere", []),
        ("text=FAN+room", [1]),
        ("since=2026-11-03", [4, 3]),
        ("until=2026-11-02", [2, 1]),
        ("until=20261102", [2, 1]),
        ("until=2026-W45-1", [2, 1]),
        ("since=2026-W45-2", [4, 3]),
        ("since=2026-11-03T00:00:00Z&until=2026-11-04T12:00:00Z", [3]),
        ("since=2026-11-03T01:00:00%2B01:00", [4, 3]),
        ("sort=oldest", [1, 2, 3, 4]),
        ("sort=rate", [2, 4, 1, 3]),
        ("sort=cpu", [4, 1, 3, 2]),
        ("sort=p99&limit=3", [4, 2, 1]),
        ("model=reactor&verdict=server_bound", [1]),
    ],
)
def test_the_list_has_the_runs_that_match_the_filter(past: LabProcess, query: str, ids: list[int]) -> None:
    assert [run["id"] for run in past.get(f"/runs?{query}")] == ids


def test_a_page_of_the_list_has_the_total_count(past: LabProcess) -> None:
    answer = past.http.get("/api/v1/runs?model=reactor&limit=1&offset=1")
    assert ([run["id"] for run in answer.json()], answer.headers["X-Total-Count"]) == ([1], "2")
    beyond = past.http.get("/api/v1/runs?offset=99")
    assert (beyond.json(), beyond.headers["X-Total-Count"]) == ([], "4")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("verdict=good", "verdict"),
        ("state=x", "state"),
        ("since=yesterday", "since"),
        ("until=2026-13-01", "until"),
        ("until=9999-12-31", "until"),
        ("sort=best", "sort"),
        ("limit=0", "limit"),
        ("comparison=0", "comparison"),
        ("rankable=perhaps", "rankable"),
    ],
)
def test_an_invalid_filter_is_rejected(past: LabProcess, query: str, field: str) -> None:
    assert_problem(past.http.get(f"/api/v1/runs?{query}"), 422, f"/{field}")


def test_the_list_is_exported_as_csv(past: LabProcess) -> None:
    answer = past.http.get("/api/v1/runs/export?sort=oldest")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="threadlab-runs.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert list(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert (rows[0]["achieved_per_s"], rows[0]["cpu_us_per_request"], rows[0]["errors"]) == (
        "1000.5",
        "12.5",
        "0",
    )
    assert (rows[2]["achieved_per_s"], rows[2]["cpu_us_per_request"], rows[2]["errors"]) == ("", "", "")
    assert (rows[1]["knobs"], rows[2]["label"], rows[2]["failure"]) == (
        "max_threads=500",
        "'=1+1",
        "It broke.",
    )


@pytest.mark.parametrize("query", ["model=reactor", "text=nowhere", "sort=rate"])
def test_the_list_is_exported_as_json_equal_to_the_api(past: LabProcess, query: str) -> None:
    listed = past.get(f"/runs?{query}")
    assert past.get(f"/runs/export?format=json&{query}") == listed
    lines = past.http.get(f"/api/v1/runs/export?format=jsonl&{query}").text.splitlines()
    assert [json.loads(line) for line in lines] == listed


def test_an_empty_list_is_exported_as_a_csv_header(past: LabProcess) -> None:
    text = past.http.get("/api/v1/runs/export?text=nowhere").text
    assert text.startswith("id,created_at,") and len(text.splitlines()) == 1


def test_a_label_can_be_changed_and_searched(changing: LabProcess) -> None:
    before = changing.get("/runs/2")
    answer = changing.http.patch("/api/v1/runs/2", json={"label": "  Nightly  "})
    assert answer.json() == before | {"label": "Nightly"} == changing.get("/runs/2")
    assert [run["id"] for run in changing.get("/runs?text=nightly")] == [2]
    assert changing.http.patch("/api/v1/runs/2", json={"label": None}).json() == before
    assert changing.get("/runs?text=nightly") == []


def test_a_comment_can_be_changed_searched_and_exported(changing: LabProcess) -> None:
    before = changing.get("/runs/4")
    text = "Fan off:\n  <b>30 °C</b>"
    answer = changing.http.patch("/api/v1/runs/4", json={"comment": f" {text}\n", "label": "Hot"})
    assert answer.json() == before | {"comment": text, "label": "Hot"} == changing.get("/runs/4")
    assert [run["id"] for run in changing.get("/runs?text=30+°c")] == [4]
    [row] = csv.DictReader(io.StringIO(changing.http.get("/api/v1/runs/export?text=30").text, newline=""))
    assert row["comment"] == text
    for path in ("/runs/4", "/runs"):
        page = changing.http.get(path).text
        assert "Fan off:" in page and "&lt;b&gt;30 °C&lt;/b&gt;" in page and "<b>30" not in page
    assert changing.http.patch("/api/v1/runs/4", json={"label": None}).json()["comment"] == text
    assert changing.http.patch("/api/v1/runs/4", json={"comment": ""}).json() == before
    assert changing.get("/runs?text=30+°c") == []


def test_only_label_and_comment_can_be_changed(changing: LabProcess) -> None:
    before = changing.get("/runs/1")
    assert_problem(changing.http.patch("/api/v1/runs/1", json={"comment": "x" * 2001}), 422, "/comment")
    assert_problem(changing.http.patch("/api/v1/runs/1", json={"comment": ["x"]}), 422, "/comment")
    assert_problem(changing.http.patch("/api/v1/runs/1", json={"comment": "x", "notes": []}), 422, "/notes")
    assert_problem(changing.http.patch("/api/v1/runs/1", json={}), 422)
    assert_problem(changing.http.patch("/api/v1/runs/1", json={"state": "failed"}), 422, "/state")
    assert_problem(changing.http.patch("/api/v1/runs/1", json={"label": "x" * 201}), 422, "/label")
    assert_problem(changing.http.patch("/api/v1/runs/99", json={"label": "x"}), 404)
    assert changing.get("/runs/1") == before


def test_an_active_run_can_be_labelled_but_not_deleted(changing: LabProcess) -> None:
    id = changing.submit(model="reactor", plan=endless())["id"]
    changing.wait_state(id, "running")
    assert (
        changing.http.patch(f"/api/v1/runs/{id}", json={"label": "added during the run"}).json()["state"]
        == "running"
    )
    assert "Stop it first" in changing.http.get("/runs/delete", params={"run": [1, id]}).text
    assert changing.http.post("/runs/delete", data={"run": ["1", str(id)]}).status_code == 409
    ended = changing.stop(id)
    assert (ended["label"], ended["state"], changing.get("/runs/1")["id"]) == (
        "added during the run",
        "stopped",
        1,
    )


# Pages as plain forms


def test_the_page_has_the_runs_that_match_the_filter(past: LabProcess) -> None:
    text = past.http.get("/runs?model=reactor&sort=oldest").text
    assert text.index('id="pick-1"') < text.index('id="pick-4"') and 'id="pick-2"' not in text
    assert '<option value="reactor" selected>' in text and "/api/v1/runs/export?model=reactor&amp;" in text


def test_the_page_shows_an_invalid_filter_at_its_field_and_ignores_it(past: LabProcess) -> None:
    answer = past.http.get("/runs", params={"since": "yesterday", "model": "blocking"})
    assert answer.status_code == 200 and "not &#39;yesterday&#39;" in answer.text
    assert 'id="pick-2"' in answer.text and 'id="pick-1"' not in answer.text


def test_no_match_and_an_empty_history_have_different_messages(past: LabProcess, tmp_path: Path) -> None:
    assert "No run matches." in past.http.get("/runs?text=nowhere").text
    with closing(InProcessLab(tmp_path)) as lab:
        assert "No runs yet." in lab.http.get("/runs?text=nowhere").text


def test_a_long_list_is_paginated(tmp_path: Path) -> None:
    keep(tmp_path, *[{}] * 51)
    with closing(InProcessLab(tmp_path)) as lab:
        first = lab.http.get("/runs?model=reactor").text
        last = lab.http.get("/runs?model=reactor&offset=50").text
    assert "1 to 50 here" in first and 'href="/runs?model=reactor&amp;offset=50"' in first
    assert 'id="pick-1"' not in first
    assert "51 to 51 here" in last and 'id="pick-1"' in last and 'href="/runs?model=reactor"' in last


def test_a_label_is_changed_by_the_form(changing: LabProcess) -> None:
    answer = changing.http.post("/runs/5/label", data={"label": "By form", "back": "/runs?model=reactor"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?model=reactor")
    assert changing.get("/runs/5")["label"] == "By form"
    assert 'value="By form"' in changing.http.get("/runs/5").text
    changing.http.patch("/api/v1/runs/5", json={"label": None})
    assert 'id="label-text-5" value=""' in " ".join(changing.http.get("/runs/5").text.split())
    elsewhere = changing.http.post("/runs/5/label", data={"label": "", "back": "https://example.org/"})
    assert elsewhere.headers["location"] == "/runs/5"
    assert changing.get("/runs/5")["label"] is None


def test_a_comment_is_changed_by_the_form(changing: LabProcess) -> None:
    lines = "\r\n".join("x" * 99 for _ in range(20))  # as a browser sends 20 lines: 1,999 characters
    answer = changing.http.post("/runs/5/comment", data={"comment": lines})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/5")
    kept = changing.get("/runs/5")["comment"]
    assert kept == lines.replace("\r", "")
    assert changing.http.post("/runs/5/comment", data={"comment": "x" * 2001}).status_code == 422
    assert changing.get("/runs/5")["comment"] == kept
    assert changing.http.post("/runs/5/comment", data={"comment": " "}).status_code == 303
    assert changing.get("/runs/5")["comment"] is None
    assert changing.http.post("/runs/99/comment", data={"comment": "x"}).status_code == 404


def test_several_runs_are_deleted_after_a_confirmation(changing: LabProcess) -> None:
    before = [run["id"] for run in changing.get("/runs")]
    confirmation = changing.http.get("/runs/delete", params={"run": [7, 8]})
    assert (
        confirmation.status_code == 200
        and "Delete 2 runs?" in confirmation.text
        and "=1+1" in confirmation.text
    )
    assert [run["id"] for run in changing.get("/runs")] == before, "a GET changes nothing"
    answer = changing.http.post("/runs/delete", data={"run": ["7", "8"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    assert [run["id"] for run in changing.get("/runs")] == [id for id in before if id not in (7, 8)]


def test_either_all_selected_runs_are_deleted_or_none(changing: LabProcess) -> None:
    assert changing.http.post("/runs/delete", data={"run": ["6", "99"]}).status_code == 404
    assert changing.http.post("/runs/delete", data={"run": ["6", "x"]}).status_code == 422
    assert changing.http.get("/runs/delete").status_code == 422
    assert changing.get("/runs/6")["id"] == 6
