"""Values of secret headers never leave the memory of the lab, except to the load generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.load.protocol.http_request import MASKED
from app.report import comparison_exports, run_exports
from tests.app.driver import Command, LabMaker, LabProcess, assert_problem, light
from tests.app.live.test_live import viewer

SECRET = "s3cr3t-2f7c"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Accept": "text/plain"}
REQUEST = {"kind": "http", "weight": 1, "params": {"path": "/bytes?n=5", "headers": HEADERS}}
PLAN = light(0.5, work=[REQUEST], groups=[{"name": "new", "vus": 1, "rate_per_s": 20, "work": [REQUEST]}])


def responses(lab: LabProcess, run: int, comparison: int, trial: int) -> dict[str, str]:
    """Return the text of everything in which the plan of a run or of a comparison could occur."""
    exports = [f"/api/v1/runs/{run}/{each.name}" for each in run_exports.EXPORTS]
    exports += [f"/api/v1/comparisons/{comparison}/{each.name}" for each in comparison_exports.EXPORTS]
    paths = [
        f"/api/v1/runs/{run}",
        "/api/v1/runs",
        "/api/v1/runs/export",
        f"/api/v1/runs/{run}/diff/{trial}",
        f"/runs/diff?a={run}&b={trial}",
        f"/runs/{run}",
        "/runs",
        f"/workbench?again={run}",
        f"/api/v1/comparisons/{comparison}",
        "/api/v1/comparisons",
        f"/comparisons/{comparison}",
        "/comparisons",
        "/api/v1/events",
        "/metrics",
        *exports,
    ]
    found = {path: lab.http.get(path) for path in paths}
    assert {path: answer.status_code for path, answer in found.items() if answer.status_code != 200} == {}
    return {path: answer.text for path, answer in found.items()}


def test_a_secret_header_occurs_in_no_response_file_and_log(make_lab: LabMaker) -> None:
    lab = make_lab()
    with viewer(lab) as live:
        run = lab.run(model="reactor", plan=PLAN)
        view = lab.compare(["reactor"], plan=light(0.5, rate_per_s=200, work=[REQUEST]), view="equal-rate")
        messages = [live.socket.recv(timeout=5) for _ in range(5)]
    assert run["state"] == "finished" and run["summary"]["requests"] > 0 and not run["summary"]["errors"]
    assert run["plan"]["work"][0]["params"]["headers"] == {
        "Authorization": MASKED,
        "X-Api-Key": MASKED,
        "Accept": "text/plain",
    }
    found = responses(lab, run["id"], view["id"], view["runs"][0]["run"])
    assert [path for path, text in found.items() if SECRET in text] == []
    assert SECRET not in json.dumps([run, view]) + "".join(map(str, messages))
    assert SECRET not in lab.errors()
    lab.close()
    stored = [path for path in lab.data_dir.rglob("*") if path.is_file()]
    assert stored and [path for path in stored if SECRET.encode() in path.read_bytes()] == []


def test_a_run_with_a_masked_header_is_repeated_only_with_its_value(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=light(0.5, work=[REQUEST]))
    sentence = "Authorization was masked in the history; give its value again."
    again = lab.post("/runs", {"model": "reactor", "plan": {"work": run["plan"]["work"]}})
    assert sentence in assert_problem(
        again, 422, *(f"/plan/work/0/params/headers/{n}" for n in list(HEADERS)[:2])
    )
    page = lab.http.post(f"/runs/{run['id']}/again", headers={"accept": "text/html"})
    assert page.status_code == 422 and sentence in page.text
    form = lab.http.get(f"/workbench?again={run['id']}").text
    assert "http GET /bytes?n=5 (+3 headers)" in form


def test_a_refused_secret_is_not_repeated(lab: LabProcess) -> None:
    for value in (f"{SECRET}\n", [SECRET], {SECRET: SECRET}):
        params: dict[str, Any] = {"path": "/", "headers": {"Authorization": value}}
        work = [{"kind": "http", "params": params}]
        for path in ("/runs", "/comparisons"):
            answer = lab.post(path, {"model" + "s" * (path != "/runs"): "reactor", "plan": {"work": work}})
            assert answer.status_code == 422 and SECRET not in answer.text
    assert SECRET not in lab.errors()


@pytest.mark.parametrize("format", ["json", "html", "junit", "csv", "perfetto"])
def test_reports_of_the_command_line_have_no_secret(format: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "report"
    args = ["--path", "/bytes?n=5", "--header", f"Authorization: Bearer {SECRET}"]
    done = command("run", "reactor", *args, "--duration", "0.5", "--warmup", "0", f"--{format}", str(file))
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr + file.read_text()
