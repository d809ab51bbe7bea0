"""Unreadable input is rejected: numbers of thousands of digits, forms with too many fields."""

from __future__ import annotations

import pytest

from app.pages.run_fields import parse_run_id
from tests.app.driver import LabProcess, assert_problem
from tests.app.pages.test_load_form import FORM, problem_of

HUGE = "9" * 5000  # Python parses at most 4,300 digits
LONG = "9" * 1500  # the length limit of the field


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_run_id_of_many_digits_is_404(lab: LabProcess, method: str) -> None:
    for number in (HUGE, "9" * 19):
        assert_problem(lab.http.request(method, f"/api/v1/runs/{number}", json={"label": None}), 404)


@pytest.mark.parametrize(
    "path", ["/runs/{}/series", "/runs/{}/diff/1", "/comparisons/{}", "/runs?comparison={}"]
)
def test_other_ids_of_many_digits_are_422(lab: LabProcess, path: str) -> None:
    assert lab.http.get("/api/v1" + path.format(HUGE)).status_code == 422


def test_a_body_with_a_number_of_many_digits_is_rejected(lab: LabProcess) -> None:
    body = f'{{"model": "reactor", "plan": {{"vus": {HUGE}}}}}'
    answer = lab.http.post("/api/v1/runs", content=body, headers={"content-type": "application/json"})
    assert "not readable JSON" in assert_problem(answer, 422, "")


@pytest.mark.parametrize(
    "path", ["/runs/{}", "/workbench?again={}", "/runs/delete?run={}", "/comparisons/{}"]
)
def test_pages_reject_ids_of_many_digits(lab: LabProcess, path: str) -> None:
    assert lab.http.get(path.format(HUGE)).status_code in (404, 422)


@pytest.mark.parametrize("work", [f"{LONG}% plaintext", f"1 cpu {LONG}us"])
def test_work_with_a_number_of_many_digits_is_rejected(lab: LabProcess, work: str) -> None:
    answer = lab.http.post("/runs", data=FORM | {"work": work, "again": LONG[:200]})
    assert answer.status_code == 422 and "is not a request kind" in problem_of(answer.text, "work")


def test_the_delete_form_rejects_ids_of_many_digits(lab: LabProcess) -> None:
    assert lab.http.post("/runs/delete", data={"run": [HUGE]}).status_code == 422
    assert [parse_run_id(text) for text in ("12", "", "-1", "1.5", "²", HUGE)] == [
        12,
        None,
        None,
        None,
        None,
        None,
    ]


def test_a_form_with_too_many_fields_is_rejected(lab: LabProcess) -> None:
    answer = lab.http.post("/runs/delete", files=[("run", (None, str(n))) for n in range(101)])
    assert answer.status_code == 422 and "JSON" not in answer.text
    assert "The form cannot be read: Too many fields." in answer.text


@pytest.mark.parametrize("media_type", [None, "text/plain"])
def test_a_body_of_another_media_type_is_rejected_with_the_one_that_is_needed(
    lab: LabProcess, media_type: str | None
) -> None:
    headers = {"content-type": media_type} if media_type else {}
    answer = lab.http.post("/api/v1/engines", content=b'{"model": "reactor"}', headers=headers)
    assert assert_problem(answer, 422, "") == "Send a JSON object with Content-Type: application/json."


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"plan": {"vus": "a"}}, "plan.vus must be a whole number."),
        ({"plan": {"vus": 1.5}}, "plan.vus must be a whole number."),
        ({"plan": {"rate_per_s": "a"}}, "plan.rate_per_s must be a number."),
        ({"plan": {"trace": "a"}}, "plan.trace must be true or false."),
        ({"plan": {"spacing": "a"}}, "plan.spacing must be 'constant' or 'poisson'."),
        ({"plan": {"work": "a"}}, "plan.work must be a list."),
        ({"plan": {"work": [{"kind": "cpu", "params": []}]}}, "plan.work.0.params must be a JSON object."),
        ({"plan": 1}, "plan must be a JSON object."),
        ({"plan": {"nope": 1}}, "plan.nope is not a known field."),
        ({"label": 1}, "label must be text."),
        ({"label": "x" * 201}, "label must have at most 200 characters."),
        ({"engines": ["x"] * 6}, "engines must have at most 5 entries."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_of_a_wrong_type_is_rejected_in_a_short_sentence(
    lab: LabProcess, body: dict[str, object], detail: str
) -> None:
    answer = lab.post("/runs", {"model": "reactor", **body})
    assert answer.status_code == 422 and answer.json()["detail"] == detail


def test_a_day_that_cannot_be_read_is_rejected_with_examples(lab: LabProcess) -> None:
    detail = assert_problem(lab.http.get("/api/v1/runs?since=foo"), 422, "/since")
    assert detail.startswith("since: write a day or a time like 2026-11-24")
