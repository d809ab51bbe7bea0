"""What a command imports: starting is fast because most commands need little of the lab.

The time itself is measured by tests/bench/start_up.py.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.waiting import BOUND_S

WEB = frozenset(("fastapi", "starlette", "uvicorn", "jinja2"))
DATABASE = frozenset(("sqlalchemy", "alembic"))
SETTINGS = frozenset(("pydantic", "pydantic_settings", "asyncio"))  # pydantic-settings imports asyncio
CLIENT = frozenset(("httpx", "hdrh"))
TERMINAL = frozenset(("rich", "pygments"))
DASK = frozenset(("dask", "distributed", "cryptography"))
ALL = WEB | DATABASE | SETTINGS | CLIENT | TERMINAL | DASK
PROGRAM = """
import json, sys
from app.cli.main import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps([code, sorted(sys.modules)]))
"""


def imported(*args: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    command = [sys.executable, "-c", PROGRAM, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=True)
    code, modules = json.loads(done.stderr)
    assert code == 0, done
    return set(modules)


@pytest.mark.parametrize(
    ("args", "unneeded"),
    [
        (("--version",), ALL),
        (("--help",), ALL),
        (("models",), ALL),
        (("token",), ALL),
        (("run", "--help"), ALL),
        (("serve", "--help"), ALL - SETTINGS),
        (("doctor",), ALL - SETTINGS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_imports_only_what_it_needs(args: tuple[str, ...], unneeded: frozenset[str]) -> None:
    modules = imported(*args)
    assert "app.cli.main" in modules
    assert modules & unneeded == set()
