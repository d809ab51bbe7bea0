"""Each built-in server is started, loaded without an error and stopped."""

from __future__ import annotations

from typing import Any

import pytest

from app.servers.installed import unavailable_reason
from tests.app.driver import LabProcess, light, load_launchables_once, until

CATALOGUE = load_launchables_once().servers
ALL_KINDS: list[dict[str, Any]] = [
    {"kind": "plaintext"},
    {"kind": "echo", "params": {"n": 100}},
    {"kind": "cpu", "params": {"us": 50}},
    {"kind": "hash", "params": {"us": 50}},
    {"kind": "sleep", "params": {"ms": 2}},
    {"kind": "bytes", "params": {"n": 5000}},
    {"kind": "http", "params": {"path": "/nothing", "status": 404}},
]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gunicorn", {"worker_class": "gthread", "threads": 4}),
    ("gunicorn", {"worker_class": "gevent"}),
    ("uvicorn", {}),
    ("granian", {}),
    ("waitress", {}),
    ("nginx", {"workers": 2}),
    ("node", {}),
]
MORE: list[tuple[str, dict[str, Any]]] = [
    ("gunicorn", {}),
    ("uvicorn", {"workers": 2, "loop": "asyncio", "http": "h11"}),
    ("node", {"workers": 2}),
]


def test_every_built_in_server_is_tested() -> None:
    assert {name for name, _ in VARIANTS} == set(CATALOGUE.definitions)


@pytest.mark.full
@pytest.mark.parametrize(("name", "knobs"), MORE)
def test_another_variant_serves_its_work_kinds(lab: LabProcess, name: str, knobs: dict[str, Any]) -> None:
    test_a_built_in_server_serves_its_work_kinds(lab, name, knobs)


@pytest.mark.parametrize(("name", "knobs"), VARIANTS)
def test_a_built_in_server_serves_its_work_kinds(lab: LabProcess, name: str, knobs: dict[str, Any]) -> None:
    definition = CATALOGUE.definition(name)
    if reason := unavailable_reason(definition, CATALOGUE.python):
        pytest.skip(reason)
    kinds = [each for each in ALL_KINDS if each["kind"] in (*definition.kinds, "http")]
    run = lab.run(model=name, knobs=knobs, plan=light(0.5, work=kinds))
    assert run["state"] == "finished", run["failure"]
    assert (run["summary"]["requests"], run["summary"]["errors"]) == (50, {})
    assert run["environment"]["server_version"]
    assert run["processes"] and run["ledger"]["cpu_us"] > 0
    engine = lab.get(f"/engines/{run['engine']}")
    assert (engine["state"], engine["server"]) == ("stopped", name)


def test_recycled_workers_are_counted(lab: LabProcess) -> None:
    """A worker of gunicorn ends after 10 requests, so most of the CPU time is that of ended processes."""
    engine = lab.post("/engines", {"server": "gunicorn", "knobs": {"workers": 1, "max_requests": 10}}).json()
    before = set(pids(lab, engine["id"]))
    run = lab.run(engine=engine["id"], plan=light(0.5, work=[{"kind": "cpu", "params": {"us": 2000}}]))
    assert run["summary"]["requests"] == 50 and run["summary"]["errors"] == {}
    until(lambda: set(pids(lab, engine["id"])) - before, "a worker was replaced", every_s=0.05)
    assert run["ledger"]["cpu_us"] > 2000, "the work of each request is in the CPU time"


def pids(lab: LabProcess, engine: str) -> list[int]:
    return [each["pid"] for each in lab.get(f"/engines/{engine}/processes")["processes"]]
