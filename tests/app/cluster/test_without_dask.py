"""Without the extra `cluster` the lab works, and a cluster is refused with what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cluster import INSTALL
from tests.waiting import BOUND_S

EXTRA = ("dask", "distributed", "cryptography")
# An entry of None makes the import raise ModuleNotFoundError, as without the package.
HIDE = f"""
import asyncio, json, sys
for name in {EXTRA!r}:
    sys.modules[name] = None
"""
LAB = """
from app.cluster.pool import host_pool, open_lab
from app.errors import Invalid
from app.runs.request import RunRequest
from app.settings import Settings

async def play():
    async with open_lab(Settings(data_dir=sys.argv[1])) as lab:
        plan = {"executor": "constant-arrival-rate", "rate_per_s": 100, "duration_s": 0.5, "warmup_s": 0}
        run = await lab.runs.submit(RunRequest(model="reactor", plan=plan))
        run = await lab.runs.finished(run.id)
        hosts = [host.address for host in lab.hosts.discover()]
        try:
            host_pool(Settings(cluster="tcp://127.0.0.1:8786"), lab.system)
        except Invalid as error:
            return {"requests": run.summary.requests, "hosts": hosts, "refusal": error.detail}

print(json.dumps(asyncio.run(play())))
"""
COMMAND = """
from app.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
MODULES = """
import app.main, app.cli.main, app.cli.lab_server, app.cluster.pool, json, sys
print(json.dumps(sorted(sys.modules)))
"""


def python(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a program in another process."""
    command = [sys.executable, "-c", program, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S)


def result(program: str, *args: str) -> Any:
    """Return what a program has printed as JSON."""
    done = python(program, *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_lab_works_and_refuses_a_cluster(tmp_path: Path) -> None:
    found = result(HIDE + LAB, str(tmp_path))
    assert (found["requests"], found["hosts"]) == (50, [None])
    assert found["refusal"] == f"A cluster needs distributed, which is not installed: {INSTALL}"


@pytest.mark.parametrize(
    "args",
    [
        ("cluster", "up"),
        ("cluster", "certs", "certificates"),
        ("worker", "tcp://127.0.0.1:8786"),
        ("hosts", "--cluster", "tcp://127.0.0.1:8786"),
        ("run", "reactor", "--cluster", "tcp://127.0.0.1:8786"),
        ("serve", "--port", "0", "--cluster", "tcp://127.0.0.1:8786"),
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_a_command_of_a_cluster_says_what_to_install(args: tuple[str, ...]) -> None:
    done = python(HIDE + COMMAND, *args)
    assert done.returncode == 2
    assert done.stderr == f"threadlab: A cluster needs distributed, which is not installed: {INSTALL}\n"
    assert done.stdout == ""


def test_this_machine_is_listed_without_a_cluster() -> None:
    (host,) = result(HIDE + COMMAND, "hosts", "--json")
    assert host["address"] is None


def test_a_lab_without_a_cluster_imports_nothing_of_the_extra() -> None:
    modules = set(result(MODULES))
    assert "app.cluster.pool" in modules
    assert modules.isdisjoint(EXTRA)
