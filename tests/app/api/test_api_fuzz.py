"""Fuzzes the API with schemathesis: no undocumented response, no 500.

All its checks run except "a valid request is accepted": which knobs are valid depends on the model, and a
schema cannot express that. The coverage phase tries each field at and beyond its bounds, the fuzzing phase
random requests from a fixed seed. Most cases of the coverage phase are for lists of runs, comparisons and
tunings and for creating them; the default suite omits these.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import jsonschema_rs
import pytest

from tests.app.driver import LabProcess, app_without_lab, endless, light
from tests.app.imports.test_parsers import WRK
from tests.app.in_process_lab import InProcessLab
from tests.waiting import BOUND_S

EXAMPLES = 40
LIMITS = {"max_engines": 64, "max_duration_s": 2, "max_connections": 50, "max_rate": 200}
# A body above the size limit is rejected with 413, whatever else is invalid in it. 503 is a full queue: a set
# of claims is many experiments.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 413, 421, 422, 428, "5xx"]
"""
MANY_CASES = r"^/api/v1/(runs|comparisons|tunings|runs/export)$"
GROUPS = {
    "engines": r"^/api/v1/engines",
    "runs": r"^/api/v1/runs$",
    "runs as files": r"^/api/v1/runs/export$",
    "a run": r"^/api/v1/runs/(?!export$)",
    "comparisons": r"^/api/v1/comparisons$",
    "tunings": r"^/api/v1/tunings",
    "a comparison": r"^/api/v1/comparisons/",
    "experiments": r"^/api/v1/(experiments|claims)",
    "the rest": r"^/(?!api/v1/(engines|runs|comparisons|tunings|experiments|claims))",
}


@pytest.fixture
def fuzz(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., None]]:
    """Yield a function that runs schemathesis with phases and flags, on a lab with an engine and a run."""

    def run(phases: str, *flags: str) -> None:
        schemathesis = str(Path(sys.executable).with_name("schemathesis"))
        done = subprocess.run(
            [
                schemathesis,
                "--config-file",
                "schemathesis.toml",
                "run",
                f"{lab.url}/api/v1/openapi.json",
                "--no-color",
                "--checks",
                "all",
                "--exclude-checks",
                "positive_data_acceptance",
                "--phases",
                phases,
                "--max-examples",
                str(EXAMPLES),
                "--seed",
                "1",
                "--request-timeout",
                str(BOUND_S),
                "--suppress-health-check",
                "all",
                *flags,
            ],
            capture_output=True,
            text=True,
            timeout=10 * BOUND_S,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        assert [record for record in caplog.records if record.exc_info] == []

    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with closing(InProcessLab(tmp_path, **LIMITS)) as lab:
        lab.run(model="reactor", plan=light())  # so that /runs/1 exists with all its exports
        lab.start("reactor")
        yield run


def test_fields_at_their_bounds_get_only_documented_responses(fuzz: Callable[..., None]) -> None:
    fuzz("examples,coverage", "--exclude-path-regex", MANY_CASES)


@pytest.mark.full
@pytest.mark.parametrize("group", GROUPS)
def test_random_requests_get_only_documented_responses(fuzz: Callable[..., None], group: str) -> None:
    fuzz("examples,coverage,fuzzing", "--include-path-regex", GROUPS[group])


def test_each_path_is_in_one_group() -> None:
    for path in app_without_lab().openapi()["paths"]:
        assert sum(bool(re.search(pattern, path)) for pattern in GROUPS.values()) == 1, path


def test_each_call_documents_every_problem_response() -> None:
    problems = {"401", "403", "404", "405", "409", "413", "421", "422", "429", "502", "503"}
    for path, calls in app_without_lab().openapi()["paths"].items():
        for method, call in calls.items():
            responses = call["responses"]
            assert problems <= responses.keys(), f"{method} {path}"
            assert all("application/problem+json" in responses[status]["content"] for status in problems)


def test_successful_changes_get_documented_responses(lab: LabProcess) -> None:
    """Successful changes, which random requests rarely are: each one with a valid request."""
    described = lab.get("/openapi.json")

    def call(
        method: str, template: str, status: int, body: object = None, **ids: object
    ) -> dict[str, object]:
        answer = lab.http.request(method, f"/api/v1{template.format(**ids)}", json=body)
        assert answer.status_code == status, answer.text
        path = re.sub(r"\?.*", "", template)
        responses = described["paths"][f"/api/v1{path}"][method.lower()]["responses"]
        assert str(status) in responses, f"{method} {path} does not describe {status}"
        if not answer.content:
            return {}
        schema = responses[str(status)]["content"]["application/json"]["schema"]
        checker = jsonschema_rs.validator_for({**schema, "components": described["components"]})
        found: dict[str, object] = answer.json()
        assert [error.message for error in checker.iter_errors(found)] == []
        return found

    engine = call("POST", "/engines", 201, {"model": "reactor"})["id"]
    call("POST", "/engines?wait=false", 202, {"model": "reactor"})
    call("DELETE", "/engines/{id}", 200, id=engine)
    first = call("POST", "/runs", 201, {"model": "reactor", "plan": endless()})["id"]
    second = call("POST", "/runs", 201, {"model": "reactor", "plan": light()})["id"]
    for id in (second, first):
        call("POST", "/runs/{id}/stop", 200, id=id)
    call("PATCH", "/runs/{id}", 200, {"label": "a note"}, id=first)
    id = lab.run(model="reactor", plan=light())["id"]
    call("GET", "/runs/export?format=json", 200)
    foreign = call("POST", "/runs/{id}/foreign", 201, {"tool": "wrk", "text": WRK}, id=id)["id"]
    call("DELETE", "/runs/{id}/foreign/{which}", 204, id=id, which=foreign)
    call("DELETE", "/runs/{id}", 204, id=id)
    models = [{"model": "reactor"}, {"model": "blocking"}]
    comparison = call("POST", "/comparisons", 201, {"models": models, "plan": endless()})["id"]
    call("POST", "/comparisons/{id}/stop", 200, id=comparison)
    lab.wait_compared(int(str(comparison)))
    call("DELETE", "/comparisons/{id}", 204, id=comparison)
    knob = {"model": "reactor", "knob": "idle_s", "from": 10, "to": 20, "objective": "p(99)<60s"}
    tuning = call("POST", "/tunings", 201, knob)["id"]
    call("POST", "/tunings/{id}/stop", 200, id=tuning)
    lab.wait_tuned(int(str(tuning)))
    call("DELETE", "/tunings/{id}", 204, id=tuning)
