"""Imported results: stored with a run, shown on its page, deleted with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.history.history import IMPORTS_MAX
from tests.app.driver import LabProcess, assert_problem
from tests.app.imports.test_parsers import K6, OHA, WRK
from tests.app.in_process_lab import InProcessLab
from tests.app.stored_runs import keep

OUTPUTS = {"wrk": WRK, "oha": json.dumps(OHA), "k6": json.dumps(K6)}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Yield a lab with three finished runs and a failed one."""
    folder = tmp_path_factory.mktemp("lab")
    keep(folder, {}, {}, {}, {"state": "failed", "summary": None, "verdict": None})
    with closing(InProcessLab(folder)) as lab:
        yield lab


def test_results_of_each_tool_are_stored_with_a_run(past: LabProcess) -> None:
    made = [past.post("/runs/1/foreign", {"tool": tool, "text": text}) for tool, text in OUTPUTS.items()]
    assert [answer.status_code for answer in made] == [201] * 3
    stored = past.get("/runs/1/foreign")
    assert stored == [answer.json() for answer in made]
    assert [each["figures"]["tool"] for each in stored] == list(OUTPUTS)
    assert (stored[0]["figures"]["requests"], stored[0]["figures"]["p50_us"]) == (31616, 480.0)
    assert stored[2]["figures"]["p99_us"] is None, "k6 did not print it"
    assert past.get("/runs/2/foreign") == []
    page = past.http.get("/runs/1").text
    assert "31,616" in page and "Not directly comparable." in page
    assert "480 µs" in page and "6.00" in page, "the imported p50, and its ratio to that of the run (80 µs)"
    assert past.http.delete(f"/api/v1/runs/1/foreign/{stored[1]['id']}").status_code == 204
    assert [each["figures"]["tool"] for each in past.get("/runs/1/foreign")] == ["wrk", "k6"]
    assert_problem(past.http.delete(f"/api/v1/runs/2/foreign/{stored[0]['id']}"), 404)


def test_invalid_output_is_rejected_and_not_stored(past: LabProcess) -> None:
    assert "requests in" in assert_problem(
        past.post("/runs/2/foreign", {"tool": "wrk", "text": "hello"}), 422, "/text"
    )
    assert_problem(past.post("/runs/2/foreign", {"tool": "ab", "text": WRK}), 422, "/tool")
    assert_problem(past.post("/runs/2/foreign", {"tool": "wrk", "text": WRK, "more": 1}), 422, "/more")
    assert_problem(past.post("/runs/99/foreign", {"tool": "wrk", "text": WRK}), 404)
    assert "no figures" in assert_problem(past.post("/runs/4/foreign", {"tool": "wrk", "text": WRK}), 409)
    assert past.get("/runs/2/foreign") == []


def test_the_form_accepts_pasted_text_or_a_file(past: LabProcess) -> None:
    for sent in (
        {"data": {"tool": "wrk", "text": WRK}},
        {"data": {"tool": "oha"}, "files": {"file": OUTPUTS["oha"]}},
    ):
        answer = past.http.post("/runs/3/foreign", **sent)  # type: ignore[arg-type]
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/3#foreign")
    stored = past.get("/runs/3/foreign")
    assert [each["figures"]["tool"] for each in stored] == ["wrk", "oha"]
    refused = past.http.post("/runs/3/foreign", data={"tool": "k6", "text": "<b>no</b>"})
    assert (
        refused.status_code == 422
        and 'id="foreign-problem"' in refused.text
        and "&lt;b&gt;no&lt;/b&gt;" in refused.text
    )
    assert past.http.post(f"/runs/3/foreign/{stored[0]['id']}/delete").status_code == 303
    assert [each["figures"]["tool"] for each in past.get("/runs/3/foreign")] == ["oha"]


def test_imported_results_are_limited_and_deleted_with_their_run(past: LabProcess) -> None:
    while len(past.get("/runs/3/foreign")) < IMPORTS_MAX:
        assert past.post("/runs/3/foreign", {"tool": "wrk", "text": WRK}).status_code == 201
    assert_problem(past.post("/runs/3/foreign", {"tool": "wrk", "text": WRK}), 409)
    assert past.http.delete("/api/v1/runs/3").status_code == 204
    assert_problem(past.http.get("/api/v1/runs/3/foreign"), 404)
