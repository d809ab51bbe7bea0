"""Worker processes: forked with a share of the engine's bounds, told to stop, buried and replaced.

Master and worker hold the two ends of a line. The worker says on it that it serves, and takes its end as the order
to stop: the end comes when the master says so, and when the master dies. The kernel's parent-death signal stands
behind that, for a worker that does not listen. Signals are the master's: those that a terminal sends to all of a
group, or a shell to a worker, a worker ignores.

A worker that is killed (an operator, a lack of memory, a fault in C) is replaced. One that ends by an exception of
ours ends the engine: it would end again, and half an engine would lie.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace

from engines.common.board.board import PID, Board, Row
from engines.common.contract import Setup
from engines.common.process.lifecycle import allow_descriptors, die_with_parent
from engines.common.process.threads import CRASHED

UP = b"u"
UP_WITHIN_S = 10.0
START_EVERY_S = 1.0
LATE_S = 0.25  # a worker leaves at the end of its grace by itself: so much later it hangs, and is killed


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """One of them, as its master sees it."""

    index: int
    pid: int
    line: socket.socket
    row: Row
    part: Board
    started_s: float

    def __str__(self) -> str:
        return f"worker process {self.index + 1}"


class WorkerProcesses:
    """All of them, by the descriptor that becomes readable when one ends. The master's one thread only: it forks."""

    def __init__(self, setup: Setup, work: Callable[[Setup, Row], None]) -> None:
        self._setup = setup
        self._work = work
        self._alive: dict[int, WorkerProcess] = {}
        self._replaced = 0
        for index in range(setup.knobs.processes):
            if not self._start(index):
                sys.exit(f"worker process {index + 1} ended before it served")

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._alive))

    def replace(self, ready: list[int]) -> None:
        """Put others in the place of those of `ready`, which have ended."""
        for process, code in self._bury(ready):
            if code >= 0:
                sys.stderr.write(f"{process} ended by itself ({_how(code)}): so does the engine\n")
                os._exit(CRASHED)
            self._replaced += 1
            how = f"was killed ({_how(code)}); another takes its place ({self._replaced} so far)"
            sys.stderr.write(f"{process} {how}\n")
            self._hold_back(process)
            self._start(process.index)

    def stop(self) -> None:
        """Tell all of them to drain, and return when they are gone; one that outlives the grace is killed."""
        for process in self._alive.values():
            process.line.shutdown(socket.SHUT_WR)
        leave_by_s = time.monotonic() + self._setup.knobs.grace_s + LATE_S
        while self._alive:
            ready, _, _ = select.select([*self], [], [], max(0.0, leave_by_s - time.monotonic()))
            for process, code in self._bury(ready or self._killed()):
                if code:
                    sys.stderr.write(f"{process} did not drain within the grace ({_how(code)})\n")

    def _hold_back(self, process: WorkerProcess) -> None:
        """One that ended soon after its start may do so again: at most one start a second, unless told to stop."""
        early_s = process.started_s + START_EVERY_S - time.monotonic()
        if early_s > 0:
            select.select([self._setup.stopping], [], [], early_s)

    def _start(self, index: int) -> bool:
        """Fork, and wait until the worker serves; answers whether it does. `replace` hears of one that has ended."""
        row = self._setup.board.claim("worker", index)
        part = self._setup.board.part(index, self._setup.knobs.processes)
        ours, theirs = socket.socketpair()
        master = os.getpid()
        if (pid := os.fork()) == 0:
            ours.close()
            self._be_worker(master, self._lend(part, index, theirs), row)
        theirs.close()
        row.cells[PID] = pid
        self._alive[os.pidfd_open(pid)] = WorkerProcess(index, pid, ours, row, part, time.monotonic())
        select.select([ours], [], [], UP_WITHIN_S)
        with contextlib.suppress(BlockingIOError):
            return ours.recv(1, socket.MSG_DONTWAIT) == UP
        return False

    def _lend(self, part: Board, index: int, line: socket.socket) -> Setup:
        """A worker's setup: the engine's, with its share of the connections and the line to wait on."""
        most, over = divmod(self._setup.knobs.max_connections, self._setup.knobs.processes)
        knobs = SimpleNamespace(**vars(self._setup.knobs) | {"max_connections": most + (index < over)})

        def serves() -> None:
            line.send(UP)

        return replace(self._setup, board=part, knobs=knobs, stopping=line.fileno(), ready=serves)

    def _be_worker(self, master: int, setup: Setup, row: Row) -> None:
        """The forked process, to its end: nothing of the master's may run in it, or be held open by it."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            die_with_parent(master)
            for pidfd, sibling in self._alive.items():
                os.close(pidfd)
                sibling.line.close()
            allow_descriptors(len(setup.board.words))
            setup.board.enter(row)
            self._work(setup, row)
            os._exit(0)
        except BaseException:
            sys.stderr.write(traceback.format_exc())
            os._exit(CRASHED)

    def _bury(self, ready: list[int]) -> Iterator[tuple[WorkerProcess, int]]:
        """Close the books of those of `ready` that have ended; answers each with its exit code, or minus its signal."""
        for pidfd in ready:
            if process := self._alive.pop(pidfd, None):
                os.close(pidfd)
                process.line.close()
                _, status, used = os.wait4(process.pid, 0)
                process.part.bury(process.row, used.ru_nvcsw, used.ru_nivcsw)
                yield process, os.waitstatus_to_exitcode(status)

    def _killed(self) -> list[int]:
        for process in self._alive.values():
            os.kill(process.pid, signal.SIGKILL)
        return [*self]


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
