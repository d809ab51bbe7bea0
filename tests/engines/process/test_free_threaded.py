"""Engines on a Python without the GIL report it and serve as before. tests/measure has the overlap of
threads.

The interpreter is THREADLAB_FREE_THREADED_PYTHON, or the first `python3.NNt` on the PATH; it needs httptools,
and uring-api for the proactor. Without one this is skipped, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from functools import cache
from typing import Any

import httpx
import pytest

from tests.app.conftest import make_lab as make_lab
from tests.app.driver import LabMaker
from tests.engines.conftest import Starter
from tests.engines.crowds import asking
from tests.engines.driver import GREETING, PATIENCE_S, ROOT, Variant

NAMES = ("python3.15t", "python3.14t", "python3.13t")
LOOK = "import sys, httptools; print(sys._is_gil_enabled())"


@cache
def free_threaded() -> tuple[str, str]:
    """Return (the interpreter, why there is none); one of them is empty."""
    named = os.environ.get("THREADLAB_FREE_THREADED_PYTHON")
    reason = f"no free-threaded Python here ({', '.join(NAMES)}, or THREADLAB_FREE_THREADED_PYTHON)"
    for name in (named,) if named else NAMES:
        if path := shutil.which(name):
            looked = subprocess.run([path, "-c", LOOK], capture_output=True, text=True, timeout=PATIENCE_S)
            if looked.stdout.strip() == "False":
                return path, ""
            last = looked.stderr.strip().splitlines()[-1:] or ["with httptools its GIL is on"]
            reason = f"{path} cannot run engines without the GIL: {last[0]}"
    return "", reason


@pytest.fixture(scope="module")
def python() -> str:
    path, reason = free_threaded()
    if not path:
        pytest.skip(reason)
    return path


@cache
def described(python: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", "engines", "--describe"], cwd=ROOT, capture_output=True, timeout=PATIENCE_S, check=True
    )
    return {model["name"]: model for model in json.loads(done.stdout)}


def require(python: str, variant: Variant) -> None:
    if reason := described(python)[variant.model]["unavailable_reason"]:
        pytest.skip(reason)


def test_an_engine_without_the_gil_serves_and_reports_it(
    start: Starter, variant: Variant, python: str
) -> None:
    require(python, variant)
    engine = start(variant, python=python)
    note = engine.board().info
    assert engine.ready["gil"] is False
    assert note is not None and note.gil is False
    with asking(engine, 32) as askers:
        askers.ask_until(lambda: askers.answers >= 1500, "they are served")
        askers.settle()
        assert {answer.status for asker in askers.all for answer in asker.answers} == {200}
    with engine.connect() as client:
        assert client.ask("/echo", "POST", b"x" * 100_000).body == b"x" * 100_000
        assert client.ask("/sleep?ms=5").status == client.ask("/hash?us=100").status == 200
        engine.tell(signal.SIGTERM)
        assert client.rest() == b""
    assert engine.wait().code == 0


def test_the_lab_starts_engines_without_the_gil_by_its_setting(
    make_lab: LabMaker, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADLAB_ENGINE_PYTHON", python)
    lab = make_lab()
    engine = lab.start("reactor-pool")
    assert engine["gil"] is False
    assert httpx.get(engine["url"]).content == GREETING
    assert (
        lab.run(engine=engine["id"], plan={"vus": 4, "duration_s": 0.5, "warmup_s": 0.1})["state"]
        == "finished"
    )
