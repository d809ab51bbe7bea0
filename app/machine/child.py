"""A child process that cannot be lost: its own session, a life-line, its output drained, its end noticed.

It gets an environment of its own, without the lab's secrets: app/machine/child_environment.py.

Spawn from the main thread only: a child's parent-death signal is tied to the *thread* that forked it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.machine import scheduling
from app.machine.child_environment import child_environment

LOG_LINES = 200
LINE_MAX = 64 * 1024  # bytes of a line that has no end
POPEN_OPENS = 8  # three pipes, and one on which it hears of a failed exec


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: by its own code, or by a signal."""

    code: int | None
    signal: str | None

    @classmethod
    def of(cls, returncode: int) -> Exit:
        if returncode < 0:
            return cls(None, signal.Signals(-returncode).name)
        return cls(returncode, None)

    def __str__(self) -> str:
        return f"by signal {self.signal}" if self.signal else f"with exit code {self.code}"


class Child:
    """A running process. `exited` resolves once, when it is gone and its output has been read."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self._partial = b""
        self.pid = process.pid
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.heard: Callable[[str], object] = lambda _: None  # told of each line
        self.output = bytearray()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        assert process.stdout and process.stderr
        self._follow(process.stdout.fileno(), self.output.extend)
        self._follow(process.stderr.fileno(), self._logged)
        self._loop.add_reader(self._pidfd, self._gone)

    @classmethod
    def spawn(cls, argv: Sequence[str], lend: Sequence[int] = (), stdin: bytes = b"") -> Child:
        """Start `argv` with the descriptors `lend` and, as `{lifeline}` in an argument, the end of its life-line.

        Raises OSError where there are too few descriptors or processes; then nothing was started, and nothing is left.
        """
        theirs, ours = os.pipe()
        try:
            _require_descriptors(POPEN_OPENS)
            with scheduling.normal_policy():
                process = subprocess.Popen(
                    [part.replace("{lifeline}", str(theirs)) for part in argv],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(*lend, theirs),
                    env=child_environment(),
                    start_new_session=True,
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        assert process.stdin
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin.replace(b'"{lifeline}"', str(theirs).encode()))
                process.stdin.close()
            return cls(process, ours)
        except BaseException:
            with process:  # or nobody would own it
                process.kill()
            os.close(ours)
            raise

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    def signal(self, number: signal.Signals) -> None:
        """By pidfd, so that it can never hit another process that was given the same pid."""
        with contextlib.suppress(ProcessLookupError):
            if self.alive:
                signal.pidfd_send_signal(self._pidfd, number)

    def tell(self, word: bytes) -> None:
        """Write a word of less than 4 KiB into its life-line; a child that is gone does not hear it."""
        with contextlib.suppress(BrokenPipeError):
            if self.alive:
                os.write(self._lifeline, word)

    async def stop(self, grace_s: float) -> Exit:
        """TERM, then KILL when the grace is over."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.exited), grace_s)
        self.signal(signal.SIGKILL)
        return await asyncio.shield(self.exited)

    def _follow(self, fd: int, take: Callable[[bytes], object]) -> None:
        """Always drain a stream: a child must never block on a full pipe."""
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read, fd, take)

    def _read(self, fd: int, take: Callable[[bytes], object]) -> bool:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        if data:
            take(data)
        else:
            self._loop.remove_reader(fd)
        return bool(data)

    def _logged(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LINE_MAX:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self.log.append(line.decode("utf-8", "replace"))
            self.heard(self.log[-1])

    def _gone(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.close(self._lifeline)
        returncode = self._process.wait()
        assert self._process.stdout and self._process.stderr
        for stream, take in (
            (self._process.stdout, self.output.extend),
            (self._process.stderr, self._logged),
        ):
            while self._read(stream.fileno(), take):
                pass
            self._loop.remove_reader(stream.fileno())
            stream.close()
        if self._partial:
            self._logged(b"\n")
        if not self.exited.done():
            self.exited.set_result(Exit.of(returncode))


def _require_descriptors(number: int) -> None:
    """Raise OSError unless so many can be opened: Popen of Python 3.11 leaves its first pipes open if a later fails."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
