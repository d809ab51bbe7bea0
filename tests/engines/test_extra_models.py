"""A model is one file: one in the directory `$THREADLAB_MODELS` is listed, started, observed and drained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.catalogue import EXTRA_MODELS, model_modules
from engines.common.contract import parse_knobs

from .driver import GREETING, PATIENCE_S, ROOT, Engine, Variant, until

EXAMPLE = ROOT / "docs" / "examples" / "shared_accept.py"


@pytest.fixture
def extra_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with one model file, for this process and for those that it starts."""
    shutil.copy(EXAMPLE, tmp_path)
    monkeypatch.setenv(EXTRA_MODELS, str(tmp_path))
    model_modules.cache_clear()
    yield tmp_path
    model_modules.cache_clear()


def engines(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m engines` to its end."""
    command = [sys.executable, "-m", "engines", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, env=env)


def test_a_model_file_in_the_directory_is_described(extra_models: Path) -> None:
    done = engines("--describe")
    assert done.stderr == ""
    *others, extra = json.loads(done.stdout)
    assert len(others) >= 6
    assert (extra["name"], extra["file"]) == ("shared-accept", str(extra_models / EXAMPLE.name))
    assert extra["source"] == EXAMPLE.read_text(encoding="utf-8")
    assert extra["roles"][0]["threads"] == ["loops"]


def test_without_the_variable_there_are_only_the_built_in_models() -> None:
    names = [model["name"] for model in json.loads(engines("--describe", **{EXTRA_MODELS: ""}).stdout)]
    assert "shared-accept" not in names


def test_a_model_declares_the_board_rows_of_its_threads(extra_models: Path) -> None:
    model = model_modules()["shared-accept"].MODEL
    assert model.board_rows(parse_knobs(model, {"loops": 64})) == 64


def test_an_engine_of_a_model_file_serves_shows_its_threads_and_drains(extra_models: Path) -> None:
    engine = Engine(Variant("shared-accept", (("loops", 5),)))
    try:
        threads = engine.board().threads
        assert [(thread.role, thread.index) for thread in threads] == [("reactor", at) for at in range(5)]
        with engine.connect() as client:
            assert client.ask().body == GREETING
            client.send(b"GET /sleep?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
            until(engine.blocked, "the handler sleeps")
            engine.tell(signal.SIGTERM)
            assert client.answer().body == b"slept 300 ms\n"
        ended = engine.wait()
        assert (ended.code, ended.stderr) == (0, "")
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name\n", "cannot be imported"),
        ("MODEL = 4\n", "must have MODEL, a Model, and serve(listener, setup)"),
        (EXAMPLE.read_text().replace('"shared-accept"', '"reactor"'), "there is already a model 'reactor'"),
        (EXAMPLE.read_text().replace('threads=("loops",)', 'threads=("loop",)'), "needs a knob 'loop'"),
    ],
    ids=["import error", "no model", "taken name", "unknown knob"],
)
def test_a_bad_model_file_is_reported_in_one_sentence(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(source, encoding="utf-8")
    done = engines("--describe", **{EXTRA_MODELS: str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"{EXTRA_MODELS}: {tmp_path / 'bad.py'}") and reason in last


def test_a_directory_that_does_not_exist_is_reported_in_one_sentence(tmp_path: Path) -> None:
    done = engines("reactor", **{EXTRA_MODELS: str(tmp_path / "none")})
    assert (done.returncode, done.stderr) == (1, f"{EXTRA_MODELS}: {tmp_path / 'none'} is not a directory\n")
