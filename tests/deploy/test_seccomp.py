"""deploy/seccomp.json is an engine's default and the three calls of io_uring, and not one more."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import BOUND_S

from .files import DEPLOY, Json, read_json

IO_URING = {"io_uring_setup", "io_uring_enter", "io_uring_register"}


def allowed(profile: Json) -> set[str]:
    """What is allowed without any condition."""
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW"
        and not (rule.get("args") or rule.get("includes") or rule.get("excludes"))
        for name in rule["names"]
    }


def test_exactly_the_three_calls_are_added() -> None:
    default, ours = read_json(DEPLOY / "seccomp-default.json"), read_json(DEPLOY / "seccomp.json")
    assert allowed(ours) - allowed(default) == IO_URING
    assert ours["syscalls"][:-1] == default["syscalls"]
    assert {**ours, "syscalls": []} == {**default, "syscalls": []}


def test_whatever_is_not_named_is_refused() -> None:
    assert read_json(DEPLOY / "seccomp.json")["defaultAction"] == "SCMP_ACT_ERRNO"


def test_the_default_denies_io_uring_as_newer_engines_do() -> None:
    named = {
        name for rule in read_json(DEPLOY / "seccomp-default.json")["syscalls"] for name in rule["names"]
    }
    assert not IO_URING & named


def test_the_profile_is_what_the_script_makes() -> None:
    subprocess.run([sys.executable, str(DEPLOY / "make_seccomp.py"), "--check"], check=True, timeout=BOUND_S)
