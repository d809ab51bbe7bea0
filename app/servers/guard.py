"""The guard: a small process between the lab and an external server, which ends all processes of the server.

    lab ──lifeline──> guard ──> first process of the server ──> workers, daemons, …

A parent-death signal reaches only the first process of a server, and workers and daemons would live on. The
guard is a child subreaper: a process whose parent has ended becomes a child of the guard, so the guard can
end every descendant, also one that has put itself into the background.

    SIGTERM              the stop signal for the first process; after the grace period, the end of all
    end of the lifeline  the end of all: the lab has closed it, or has ended
    first process ended  the end of all others

The job is a JSON object on stdin: argv, environment, directory, temporary (a directory to remove at the
end), lifeline_fd, grace_s, stop_signal. The guard ends as the first process did: with its exit code, or by
the same signal. Only the standard library, because it runs as `python -I -S`, to start fast and stay small.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CANNOT_START = 127  # exit code, as a shell's for a command that it does not find
LIBC = ctypes.CDLL(None, use_errno=True)


class Guard:
    """Owns the processes of one server."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._deadline_s: float | None = None  # CLOCK_MONOTONIC, once it must stop
        self._wakeup = _signals_as_bytes()
        self._poll = select.poll()
        self._poll.register(self._wakeup, select.POLLIN)
        self._poll.register(job["lifeline_fd"], select.POLLIN)
        self._first = subprocess.Popen(
            job["argv"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            env=job["environment"],
            cwd=job["directory"],
            preexec_fn=functools.partial(_die_with, os.getpid()),
        )

    def run(self) -> int:
        """Return the status of the first process, as `os.waitpid` does, when no process is left."""
        status = self._wait()
        if others := _children():
            _say(_left_behind(status, len(others), self._deadline_s is not None))
        while others := _children():
            for pid in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pid, ended = os.waitpid(-1, 0)
            status = ended if pid == self._first.pid else status
        return status if status is not None else signal.SIGKILL

    def _wait(self) -> int | None:
        """Return the status of the first process; None: it has not ended, and all processes must."""
        while True:
            ready = dict(self._poll.poll(self._timeout_ms()))
            if (status := self._reap()) is not None:
                return status
            if self._job["lifeline_fd"] in ready:
                return None
            if self._wakeup in ready and self._take_stop_request():
                self._first.send_signal(self._job["stop_signal"])
                self._deadline_s = time.monotonic() + self._job["grace_s"]
            if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
                _say(f"It did not stop within {self._job['grace_s']:g} s of the signal and was killed.")
                return None

    def _timeout_ms(self) -> int | None:
        if self._deadline_s is None:
            return None
        return max(0, int(1000 * (self._deadline_s - time.monotonic())) + 1)

    def _take_stop_request(self) -> bool:
        """Return whether one of the signals since the last call was SIGTERM, the first one of them."""
        requested = signal.SIGTERM in os.read(self._wakeup, 4096)
        return requested and self._deadline_s is None

    def _reap(self) -> int | None:
        """Reap what has ended. Returns the status of the first process, if it is among it."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                found = ended[1] if ended[0] == self._first.pid else found
        return found


def _signals_as_bytes() -> int:
    """Return a descriptor from which the numbers of caught signals can be read."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return read_end


def _die_with(guard: int) -> None:
    """Let the kernel kill the first process if the guard is killed; the lab then ends the others.

    The guard may have been killed before this call.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _children() -> list[int]:
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _left_behind(status: int | None, others: int, stopping: bool) -> str:
    """Return what to say of processes that are alive when the first one has ended; empty: nothing."""
    if status is None or stopping:
        return ""
    subject = "a process was" if others == 1 else f"{others} processes were"
    return (
        f"The first process ended while {subject} still running, which the lab has ended. "
        "A server must stay in the foreground (no daemon mode)."
    )


def _remove(directory: str) -> None:
    """Remove the server's temporary directory: a lab that was killed cannot."""
    import shutil  # here, so that the start is not delayed

    shutil.rmtree(directory, ignore_errors=True)


def _say(text: str) -> None:
    if text:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _end_like(status: int) -> None:
    """End this process as the first one ended, so that the lab sees the same exit code or signal."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # SIGKILL and SIGSTOP have no handler
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def main() -> None:
    """Run the job of stdin."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    job = json.load(sys.stdin)
    os.set_inheritable(job["lifeline_fd"], False)
    try:
        guard = Guard(job)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _say(f"{job['argv'][0]} cannot be started: {reason}.")
        sys.exit(CANNOT_START)
    status = guard.run()
    _remove(job["temporary"])
    _end_like(status)


if __name__ == "__main__":
    main()
