"""No route takes a command: pages and API start only servers of the catalogue files, by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.driver import Command, LabProcess, app_without_lab, assert_problem

FORBIDDEN = {
    "argv",
    "command",
    "commands",
    "cmd",
    "exec",
    "shell",
    "environment",
    "env",
    "directory",
    "app",
    "app_dir",
    "application",
}
TINY = Path(__file__).with_name("tiny.py")


def properties(schema: Any, components: dict[str, Any]) -> Iterator[str]:
    """Yield the names of all properties of a JSON schema, and of those that it refers to."""
    if isinstance(schema, list):
        for each in schema:
            yield from properties(each, components)
    elif isinstance(schema, dict):
        if "$ref" in schema:
            yield from properties(components[schema["$ref"].rpartition("/")[2]], components)
        yield from schema.get("properties", {})
        for each in schema.values():
            yield from properties(each, components)


def test_no_request_of_the_api_has_a_field_for_a_command() -> None:
    described = app_without_lab().openapi()
    components = described["components"]["schemas"]
    names, bodies = set(), 0
    for path in described["paths"].values():
        for call in path.values():
            names |= {each["name"] for each in call.get("parameters", ())}
            if "requestBody" in call:
                bodies += 1
                names |= set(properties(call["requestBody"], components))
    assert bodies > 5 and {"server", "model", "knobs", "plan"} <= names
    assert not names & FORBIDDEN


@pytest.mark.parametrize("field", ["argv", "command", "environment", "app"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/engines", {"server": "gunicorn"}),
        ("/runs", {"model": "gunicorn"}),
        ("/comparisons", {"models": ["gunicorn"]}),
    ],
)
def test_a_command_in_a_body_is_an_unknown_field(
    lab: LabProcess, path: str, body: dict[str, Any], field: str
) -> None:
    assert_problem(lab.post(path, {**body, field: ["touch", "/tmp/x"]}), 422, f"/{field}")


def test_a_knob_cannot_carry_an_argument(lab: LabProcess) -> None:
    spec = {"server": "gunicorn", "knobs": {"worker_class": "sync --config=/tmp/x"}}
    assert "must be one of sync" in assert_problem(lab.post("/engines", spec), 422, "/knobs/worker_class")


@pytest.mark.parametrize(
    ("path", "body"), [("/runs", {"model": "command"}), ("/engines", {"server": "command"})]
)
def test_a_run_of_a_shell_cannot_be_repeated_by_the_api(
    lab: LabProcess, path: str, body: dict[str, str]
) -> None:
    assert_problem(lab.post(path, body), 404)


def test_a_form_cannot_start_a_command(lab: LabProcess) -> None:
    for form in ({"model": "command", "command": "touch /tmp/x"}, {"model": "sh", "knob_c": "touch /tmp/x"}):
        assert lab.http.post("/engines", data=form).status_code == 404
    form = {"engine": "model:command", "scenario": "sprint"}
    assert lab.http.post("/runs", data=form).status_code in (404, 422)


def own(mode: str) -> str:
    return f"{sys.executable} {TINY} {mode} {{host}} {{port}}"


def test_the_shell_runs_a_command(command: Command) -> None:
    plan = ("--executor", "constant-arrival-rate", "--rate", "50", "--duration", "1", "--warmup", "0")
    done = command("run", "--command", own("serve"), "--json", "-", *plan)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["model"], run["server"]) == ("command", "command")
    assert run["model_title"] == Path(sys.executable).name
    assert run["summary"]["requests"] == 50 and run["summary"]["errors"] == {}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("run",), "either a MODEL or one --command"),
        (("run", "reactor", "--command", "a {port}"), "either a MODEL or one --command"),
        (("run", "--command", "./server"), "must contain {port} or {address}"),
        (("run", "--command", "'{port}"), "cannot be split"),
        (("run", "--command", " "), "--command is empty"),
        (("run", "--command", "a {port}", "--server", "http://127.0.0.1:9"), "combined with --server"),
        (("compare", "--command", "a {port}", "--server", "http://127.0.0.1:9"), "combined with --server"),
        (("run", "--command", "a {port}", "--work", "sleep 5ms"), "does not serve sleep"),
    ],
)
def test_a_wrong_command_is_refused(command: Command, args: tuple[str, ...], words: str) -> None:
    done = command(*args)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_command_that_is_not_there_or_fails_says_why(command: Command) -> None:
    assert "/no/such was not found" in command("run", "--command", "/no/such {port}").stderr
    failed = command("run", "--command", own("exits"))
    assert failed.returncode == 1 and "ended with exit code 3" in failed.stdout + failed.stderr


def test_servers_are_listed(command: Command) -> None:
    assert {each["name"] for each in json.loads(command("servers", "--json").stdout)} >= {"gunicorn", "nginx"}
    assert "worker_class=sync" in command("servers").stdout
