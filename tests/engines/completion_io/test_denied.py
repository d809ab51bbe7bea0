"""Where the kernel denies io_uring, the proactor reports why in one sentence, and the other models work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.catalogue import model_modules
from tests.engines.denied import denied
from tests.engines.driver import PATIENCE_S, ROOT

SWITCH = "/proc/sys/kernel/io_uring_disabled"
SENTENCES = {
    "EPERM": "io_uring is blocked (EPERM: a container's seccomp profile; see deploy/seccomp.json)",
    "ENOSYS": "io_uring does not exist (ENOSYS: the kernel lacks it, or a seccomp profile hides it)",
}
each_refusal = pytest.mark.parametrize("error", SENTENCES)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)


def engines(error: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m engines …` without io_uring."""
    return run(*denied(error, sys.executable, "-m", "engines", *arguments))


@pytest.fixture(autouse=True)
def switched_on() -> None:
    """A machine that refuses it anyway has its own reason, which cannot be distinguished from a filter."""
    if reason := model_modules()["proactor"].MODEL.why_unavailable():
        pytest.skip(reason)


@each_refusal
def test_the_command_line_prints_why_a_model_is_unavailable(error: str) -> None:
    done = engines(error, "proactor")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"proactor: {SENTENCES[error]}\n")


@each_refusal
def test_only_the_proactor_is_unavailable(error: str) -> None:
    done = engines(error, "--describe")
    assert (done.returncode, done.stderr) == (0, "")
    reasons = {model["name"]: model["unavailable_reason"] for model in json.loads(done.stdout)}
    assert reasons == {name: SENTENCES[error] if name == "proactor" else None for name in model_modules()}


def test_io_uring_disabled_by_the_administrator_has_its_own_message(tmp_path: Path) -> None:
    """As with `sysctl kernel.io_uring_disabled=2`, for this one process: EPERM, and a switch that says 2."""
    off = tmp_path / "io_uring_disabled"
    off.write_text("2\n")
    hidden = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        f'mount --bind {off} {SWITCH} && exec "$@"',
        "sh",
    ]
    if not Path(SWITCH).exists() or run(*hidden, "true").returncode:
        pytest.skip("no mount namespace may be had here, or this kernel has no such switch")
    done = run(*hidden, *denied("EPERM", sys.executable, "-m", "engines", "proactor"))
    sentence = "io_uring is disabled (EPERM: kernel.io_uring_disabled is 2; 0 enables it)"
    assert (done.returncode, done.stderr) == (1, f"proactor: {sentence}\n")
