"""A lab whose engines cannot use io_uring: the proactor is listed as unavailable, with the reason."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from app.cli.main import main
from engines.completion_io.ring import why_unavailable
from tests.app.driver import LabProcess, assert_problem
from tests.app.in_process_lab import InProcessLab
from tests.engines.denied import denied_python
from tests.waiting import BOUND_S

REASON = "io_uring is blocked (EPERM: a container's seccomp profile; see deploy/seccomp.json)"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an interpreter for the engines to which the kernel refuses io_uring."""
    return str(denied_python(tmp_path_factory.mktemp("denied") / "python", "EPERM"))


@pytest.fixture(scope="module")
def shared_lab(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    if reason := why_unavailable():
        pytest.skip(f"io_uring is unavailable on this machine: {reason}")
    with closing(InProcessLab(tmp_path_factory.mktemp("lab"), engine_python=python)) as lab:
        yield lab


def test_the_api_lists_the_model_with_the_reason(lab: LabProcess) -> None:
    models = {
        model["name"]: (model["available"], model["unavailable_reason"]) for model in lab.get("/models")
    }
    assert models.pop("proactor") == (False, REASON)
    assert set(models.values()) == {(True, None)}


def test_only_the_unavailable_model_cannot_be_started(lab: LabProcess) -> None:
    assert REASON in assert_problem(lab.post("/engines", {"model": "proactor"}), 409)
    assert httpx.get(lab.start("reactor")["url"]).text == "Hello, World!"


def test_a_run_is_rejected(lab: LabProcess) -> None:
    answer = lab.post("/runs", {"model": "proactor", "scenario": "sprint"})
    assert REASON in assert_problem(answer, 409)
    assert lab.get("/runs") == []


def test_the_card_and_the_model_page_show_the_reason(lab: LabProcess) -> None:
    for page in ("/workbench", "/models", "/models/proactor"):
        assert REASON.replace("'", "&#39;") in lab.http.get(page).text, page


@pytest.fixture
def shell_environment(python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set environment variables so that commands run engines without io_uring."""
    monkeypatch.setenv("THREADLAB_ENGINE_PYTHON", python)
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(tmp_path))


def test_the_command_line_lists_the_model_with_the_reason(
    shell_environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    assert f"(not available: {REASON})" in capsys.readouterr().out


def test_a_run_from_the_shell_shows_the_reason(
    shell_environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(1) as thread:  # a browser test of this process may have an event loop on this one
        code = thread.submit(main, ["run", "proactor", "--duration", "1"]).result()
    assert code not in (0, 3)
    assert REASON in capsys.readouterr().err


def test_an_engine_in_the_foreground_shows_the_reason(
    shell_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    command: list[str] = []

    def execve(_path: str, argv: list[str], _environment: dict[str, str]) -> NoReturn:
        command.extend(argv)
        raise SystemExit

    monkeypatch.setattr("os.execve", execve)
    with pytest.raises(SystemExit):
        main(["engine", "proactor"])
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S)
    assert done.returncode not in (0, 3) and REASON in done.stderr, done
    assert "Traceback" not in done.stderr
