"""The guard ends every process of a server, however the server or the lab ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.servers import guard
from app.servers.process_tree import ProcessTree
from tests.app.driver import has_ended
from tests.waiting import BOUND_S, until

TINY = Path(__file__).with_name("tiny.py")


class Guarded:
    """A guard with a server, and the lab's end of its lifeline."""

    def __init__(self, directory: Path, argv: list[str], grace_s: float = BOUND_S) -> None:
        child_end, self._lifeline = os.pipe()
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        job = {
            "argv": argv,
            "environment": {"PATH": os.environ["PATH"]},
            "directory": str(directory),
            "temporary": str(self.temporary),
            "grace_s": grace_s,
            "stop_signal": int(signal.SIGTERM),
            "lifeline_fd": child_end,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(child_end,),
        )
        os.close(child_end)
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job).encode())
        self.process.stdin.close()

    def descendants(self) -> list[int]:
        """Return all processes below the guard."""
        return list(ProcessTree(self.process.pid).refresh())

    def wait_descendants(self, number: int) -> list[int]:
        """Wait until there are so many processes, and return them."""
        return until(
            lambda: pids if len(pids := self.descendants()) == number else None, f"{number} processes run"
        )

    def close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def wait(self) -> tuple[int, str]:
        """Return the return code and the stderr of the guard."""
        assert self.process.stderr
        stderr = self.process.stderr.read().decode()
        return self.process.wait(BOUND_S), stderr

    def close(self) -> None:
        self.close_lifeline()
        self.process.wait(BOUND_S)
        assert self.process.stderr
        self.process.stderr.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts a guard with a command; guards are closed after the test."""
    with contextlib.ExitStack() as stack:

        def start(argv: list[str], **options: float) -> Guarded:
            return stack.enter_context(contextlib.closing(Guarded(tmp_path, argv, **options)))

        yield start


def tiny(mode: str) -> list[str]:
    return [sys.executable, str(TINY), mode, "127.0.0.1", "0"]


def test_the_stop_signal_reaches_the_first_process_and_then_all_end(guarded: Any) -> None:
    server = guarded(tiny("fork"))
    pids = server.wait_descendants(3)
    server.process.terminate()
    assert server.wait() == (-signal.SIGTERM, ""), "it ends as the first process did"
    assert all(map(has_ended, pids))
    assert not server.temporary.exists()


def test_a_server_that_ignores_the_stop_signal_is_killed_after_the_grace_period(guarded: Any) -> None:
    server = guarded(tiny("stubborn"), grace_s=0)
    pids = server.wait_descendants(3)
    server.process.terminate()
    code, stderr = server.wait()
    assert code == -signal.SIGKILL and "did not stop within 0 s" in stderr
    assert all(map(has_ended, pids))


def test_the_end_of_the_lifeline_ends_all_processes_also_stopped_ones(guarded: Any) -> None:
    server = guarded(tiny("fork"))
    pids = server.wait_descendants(3)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    server.close_lifeline()
    assert server.wait()[0] == -signal.SIGKILL
    assert all(map(has_ended, pids))


def test_a_daemon_is_ended_and_the_reason_is_named(guarded: Any) -> None:
    server = guarded(tiny("daemon"))
    code, stderr = server.wait()
    assert code == 0 and "must stay in the foreground" in stderr


def test_workers_end_when_the_first_process_is_killed(guarded: Any) -> None:
    server = guarded(tiny("fork"))
    first, *others = server.wait_descendants(3)
    os.kill(first, signal.SIGKILL)
    code, stderr = server.wait()
    assert code == -signal.SIGKILL and "2 processes were still running" in stderr
    assert all(map(has_ended, others))


def test_a_killed_guard_takes_the_first_process_with_it(guarded: Any) -> None:
    server = guarded(tiny("serve"))
    (first,) = server.wait_descendants(1)
    server.process.kill()
    until(lambda: has_ended(first), "the first process has ended")


def test_a_process_whose_guard_was_killed_before_it_could_ask_for_the_signal_ends() -> None:
    code = "import os; from app.servers import guard; guard._die_with(os.getppid() + 1); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=BOUND_S)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_its_exit_code_is_that_of_the_first_process(guarded: Any) -> None:
    code, stderr = guarded(tiny("exits")).wait()
    assert (code, stderr) == (3, "first\nsecond\nno configuration\n")


def test_a_command_that_does_not_exist_is_named(guarded: Any) -> None:
    code, stderr = guarded(["/no/such/server"]).wait()
    assert code == guard.CANNOT_START
    assert stderr == "/no/such/server cannot be started: No such file or directory.\n"
