"""A lab whose engines get no io_uring: the proactor is there, is not available, and everybody is told why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engines.common.ring import why_unavailable
from tests.engines.denied import denied_python

from .driver import LabProcess, is_problem, threadlab

REASON = "io_uring is refused here (EPERM: a container's seccomp profile; see deploy/seccomp.json)"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter for the engines to which the kernel refuses io_uring."""
    return str(denied_python(tmp_path_factory.mktemp("denied") / "python", "EPERM"))


@pytest.fixture(scope="module")
def shared_lab(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    if reason := why_unavailable():
        pytest.skip(f"this machine has a reason of its own: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THREADLAB_ENGINE_PYTHON", python)
        lab = LabProcess(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


def test_the_api_lists_it_with_the_reason(lab: LabProcess) -> None:
    said = {model["name"]: (model["available"], model["unavailable_reason"]) for model in lab.get("/models")}
    assert said.pop("proactor") == (False, REASON)
    assert set(said.values()) == {(True, None)}


def test_it_cannot_be_started_and_the_others_can(lab: LabProcess) -> None:
    assert REASON in is_problem(lab.post("/engines", {"model": "proactor"}), 409)
    assert httpx.get(lab.start("reactor")["url"]).text == "Hello, World!"


def test_no_run_begins(lab: LabProcess) -> None:
    answer = lab.post("/runs", {"model": "proactor", "scenario": "sprint"})
    assert REASON in is_problem(answer, 409)
    assert lab.get("/runs") == []


def test_the_card_and_the_model_page_say_why(lab: LabProcess) -> None:
    for page in ("/", "/models", "/models/proactor"):
        assert REASON.replace("'", "&#39;") in lab.http.get(page).text, page


def test_the_command_line_says_why(python: str, tmp_path: Path) -> None:
    env = {"THREADLAB_ENGINE_PYTHON": python, "THREADLAB_DATA_DIR": str(tmp_path)}
    listed = threadlab("models", env=env)
    assert listed.returncode == 0 and f"(not available: {REASON})" in listed.stdout
    for command in (["engine", "proactor"], ["run", "proactor", "--duration", "1"]):
        done = threadlab(*command, env=env)
        assert done.returncode not in (0, 3) and REASON in done.stderr, done
        assert "Traceback" not in done.stderr
