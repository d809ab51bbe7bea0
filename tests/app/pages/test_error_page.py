"""The error page: one title for each status."""

from __future__ import annotations

from tests.app.driver import LabProcess, assert_problem


def test_an_unknown_path_and_an_unknown_run_have_the_same_title(shared_lab: LabProcess) -> None:
    for path in ("/nowhere", "/runs/999999"):
        page = shared_lab.http.get(path)
        assert page.status_code == 404 and ">Not found</h1>" in page.text
        problem = shared_lab.http.get(f"/api/v1{path}")
        assert_problem(problem, 404)
        assert problem.json()["title"] == "Not found"
