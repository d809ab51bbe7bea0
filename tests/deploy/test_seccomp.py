"""deploy/seccomp.json is the default profile of Docker plus the three system calls of io_uring."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import BOUND_S

from .files import DEPLOY, Json, read_json

IO_URING = {"io_uring_setup", "io_uring_enter", "io_uring_register"}


def allowed(profile: Json) -> set[str]:
    """Return the system calls that are allowed unconditionally."""
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW"
        and not (rule.get("args") or rule.get("includes") or rule.get("excludes"))
        for name in rule["names"]
    }


def test_exactly_three_system_calls_are_added() -> None:
    default, ours = read_json(DEPLOY / "seccomp-default.json"), read_json(DEPLOY / "seccomp.json")
    assert allowed(ours) - allowed(default) == IO_URING
    assert ours["syscalls"][:-1] == default["syscalls"]
    assert {**ours, "syscalls": []} == {**default, "syscalls": []}


def test_other_system_calls_are_denied() -> None:
    assert read_json(DEPLOY / "seccomp.json")["defaultAction"] == "SCMP_ACT_ERRNO"


def test_the_default_profile_denies_io_uring() -> None:
    named = {
        name for rule in read_json(DEPLOY / "seccomp-default.json")["syscalls"] for name in rule["names"]
    }
    assert not IO_URING & named


def test_the_profile_is_the_output_of_the_script() -> None:
    subprocess.run([sys.executable, str(DEPLOY / "make_seccomp.py"), "--check"], check=True, timeout=BOUND_S)
