"""Child processes: each has its own session, a lifeline pipe, drained output streams and a pidfd.

The environment of a child contains no secrets of the lab: see app/machine/child_environment.py.

Spawn from the main thread only: the parent-death signal of a child is tied to the *thread* that forked it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.machine import scheduling
from app.machine.child_environment import child_environment

LOG_LINES = 200
LINE_BYTES_MAX = 64 * 1024  # longer lines are split
READ_BYTES = 64 * 1024
POPEN_DESCRIPTORS = 8  # three pipes, and one that reports a failed exec


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The end of a process: its exit code, or the name of the signal that ended it. The other one is None."""

    code: int | None
    signal: str | None

    @classmethod
    def from_returncode(cls, returncode: int) -> ExitStatus:
        """Return the status for a `subprocess` return code, which is negative for a signal."""
        if returncode < 0:
            return cls(None, signal.Signals(-returncode).name)
        return cls(returncode, None)

    def __str__(self) -> str:
        return f"by signal {self.signal}" if self.signal else f"with exit code {self.code}"


class Child:
    """A running process. Event loop of the main thread only.

    pid: its process id. log: the last LOG_LINES lines of its stderr. stdout: all bytes of its stdout.
    on_line: called with each line of stderr. exited: resolves when the process has ended and its output was
    read.
    """

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self._partial_line = b""
        self.pid = process.pid
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.on_line: Callable[[str], object] = lambda _: None
        self.stdout = bytearray()
        self.exited: asyncio.Future[ExitStatus] = self._loop.create_future()
        assert process.stdout and process.stderr
        self._drain(process.stdout.fileno(), self.stdout.extend)
        self._drain(process.stderr.fileno(), self._log_data)
        self._loop.add_reader(self._pidfd, self._on_exit)

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        pass_fds: Sequence[int] = (),
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a process.

        argv: command; `{lifeline}` in an argument is replaced by the descriptor of the child's end of the
        lifeline.
        pass_fds: descriptors that the child inherits.
        stdin: bytes for its stdin; `"{lifeline}"` is replaced as in `argv`.
        environment: variables beside those that every child gets.

        Raises OSError if descriptors or processes are exhausted; then no process and no descriptor is left.
        """
        child_end, parent_end = os.pipe()
        try:
            _require_descriptors(POPEN_DESCRIPTORS)
            with scheduling.normal_policy():
                process = subprocess.Popen(
                    [argument.replace("{lifeline}", str(child_end)) for argument in argv],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(*pass_fds, child_end),
                    env={**child_environment(), **(environment or {})},
                    start_new_session=True,
                )
        except BaseException:
            os.close(parent_end)
            raise
        finally:
            os.close(child_end)
        return cls._adopt(process, parent_end, stdin.replace(b'"{lifeline}"', str(child_end).encode()))

    @classmethod
    def _adopt(cls, process: subprocess.Popen[bytes], lifeline: int, stdin: bytes) -> Child:
        """Write the stdin of a new process and watch it; kill the process if that fails."""
        assert process.stdin
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin)
                process.stdin.close()
            return cls(process, lifeline)
        except BaseException:
            with process:
                process.kill()
            os.close(lifeline)
            raise

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal by pidfd, so that it cannot reach another process that was given the same pid."""
        with contextlib.suppress(ProcessLookupError):
            if self.alive:
                signal.pidfd_send_signal(self._pidfd, number)

    def write_lifeline(self, message: bytes) -> None:
        """Write less than 4 KiB into the lifeline. Does nothing if the process has ended."""
        with contextlib.suppress(BrokenPipeError):
            if self.alive and self._lifeline >= 0:
                os.write(self._lifeline, message)

    def close_lifeline(self) -> None:
        """Close the lifeline, as the end of the lab would."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def wait(self, timeout_s: float) -> bool:
        """Return whether the process ends within `timeout_s` seconds."""
        await asyncio.wait([self.exited], timeout=timeout_s)
        return self.exited.done()

    async def stop(self, grace_s: float) -> ExitStatus:
        """Send SIGTERM, and SIGKILL after `grace_s` seconds. Returns when the process has ended."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.exited), grace_s)
        self.signal(signal.SIGKILL)
        return await asyncio.shield(self.exited)

    def _drain(self, fd: int, consume: Callable[[bytes], object]) -> None:
        """Read a stream whenever it has data: a child must never block on a full pipe."""
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read, fd, consume)

    def _read(self, fd: int, consume: Callable[[bytes], object]) -> bool:
        """Read once. Returns False when there is nothing to read."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            consume(data)
        else:
            self._loop.remove_reader(fd)
        return bool(data)

    def _log_data(self, data: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        if len(self._partial_line) > LINE_BYTES_MAX:
            lines.append(self._partial_line)
            self._partial_line = b""
        for line in lines:
            self.log.append(line.decode("utf-8", "replace"))
            self.on_line(self.log[-1])

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.close_lifeline()
        returncode = self._process.wait()
        assert self._process.stdout and self._process.stderr
        for stream, consume in (
            (self._process.stdout, self.stdout.extend),
            (self._process.stderr, self._log_data),
        ):
            while self._read(stream.fileno(), consume):
                pass
            self._loop.remove_reader(stream.fileno())
            stream.close()
        if self._partial_line:
            self._log_data(b"\n")
        if not self.exited.done():
            self.exited.set_result(ExitStatus.from_returncode(returncode))


def _require_descriptors(number: int) -> None:
    """Raise OSError unless `number` descriptors can be opened.

    Popen of Python 3.11 leaks its first pipes if a later one fails.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
