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

from engines.common.board.board import PID
from engines.common.board.row import BoardRow
from engines.common.board.writer import Board
from engines.common.contract import Setup
from engines.common.process.lifecycle import die_with_parent, set_descriptor_limit
from engines.common.process.threads import EXIT_CRASHED

READY = b"u"
READY_TIMEOUT_S = 10.0
RESTART_INTERVAL_S = 1.0
KILL_AFTER_S = (
    0.25  # a worker leaves at the end of its grace by itself: so much later it hangs, and is killed
)


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """One of them, as its master sees it."""

    index: int
    pid: int
    channel: socket.socket
    row: BoardRow
    board: Board
    started_s: float

    def __str__(self) -> str:
        return f"worker process {self.index + 1}"


class WorkerProcesses:
    """All of them, by the descriptor that becomes readable when one ends. The master's one thread only: it forks."""

    def __init__(self, setup: Setup, work: Callable[[Setup, BoardRow], None]) -> None:
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
        for process, code in self._reap(ready):
            if code >= 0:
                sys.stderr.write(f"{process} ended by itself ({_exit_reason(code)}): so does the engine\n")
                os._exit(EXIT_CRASHED)
            self._replaced += 1
            reason = f"was killed ({_exit_reason(code)}); another takes its place ({self._replaced} so far)"
            sys.stderr.write(f"{process} {reason}\n")
            self._throttle_restart(process)
            self._start(process.index)

    def stop(self) -> None:
        """Tell all of them to drain, and return when they are gone; one that outlives the grace is killed."""
        for process in self._alive.values():
            process.channel.shutdown(socket.SHUT_WR)
        drain_deadline_s = time.monotonic() + self._setup.knobs.grace_s + KILL_AFTER_S
        while self._alive:
            ready, _, _ = select.select([*self], [], [], max(0.0, drain_deadline_s - time.monotonic()))
            for process, code in self._reap(ready or self._kill_all()):
                if code:
                    sys.stderr.write(f"{process} did not drain within the grace ({_exit_reason(code)})\n")

    def _throttle_restart(self, process: WorkerProcess) -> None:
        """One that ended soon after its start may do so again: at most one start a second, unless told to stop."""
        early_s = process.started_s + RESTART_INTERVAL_S - time.monotonic()
        if early_s > 0:
            select.select([self._setup.stopping], [], [], early_s)

    def _start(self, index: int) -> bool:
        """Fork, and wait until the worker serves; answers whether it does. `replace` hears of one that has ended."""
        row = self._setup.board.claim("worker", index)
        board = self._setup.board.partition(index, self._setup.knobs.processes)
        ours, theirs = socket.socketpair()
        master = os.getpid()
        if (pid := os.fork()) == 0:
            ours.close()
            self._run_worker(master, self._worker_setup(board, index, theirs), row)
        theirs.close()
        row.cells[PID] = pid
        self._alive[os.pidfd_open(pid)] = WorkerProcess(index, pid, ours, row, board, time.monotonic())
        select.select([ours], [], [], READY_TIMEOUT_S)
        with contextlib.suppress(BlockingIOError):
            return ours.recv(1, socket.MSG_DONTWAIT) == READY
        return False

    def _worker_setup(self, board: Board, index: int, channel: socket.socket) -> Setup:
        """A worker's setup: the engine's, with its share of the connections and the line to wait on."""
        most, over = divmod(self._setup.knobs.max_connections, self._setup.knobs.processes)
        knobs = SimpleNamespace(**vars(self._setup.knobs) | {"max_connections": most + (index < over)})

        def announce_ready() -> None:
            channel.send(READY)

        return replace(self._setup, board=board, knobs=knobs, stopping=channel.fileno(), ready=announce_ready)

    def _run_worker(self, master: int, setup: Setup, row: BoardRow) -> None:
        """The forked process, to its end: nothing of the master's may run in it, or be held open by it."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            die_with_parent(master)
            for pidfd, sibling in self._alive.items():
                os.close(pidfd)
                sibling.channel.close()
            set_descriptor_limit(len(setup.board.words))
            setup.board.attach(row)
            self._work(setup, row)
            os._exit(0)
        except BaseException:
            sys.stderr.write(traceback.format_exc())
            os._exit(EXIT_CRASHED)

    def _reap(self, ready: list[int]) -> Iterator[tuple[WorkerProcess, int]]:
        """Close the books of those of `ready` that have ended; answers each with its exit code, or minus its signal."""
        for pidfd in ready:
            if process := self._alive.pop(pidfd, None):
                os.close(pidfd)
                process.channel.close()
                _, status, used = os.wait4(process.pid, 0)
                process.board.reap(process.row, used.ru_nvcsw, used.ru_nivcsw)
                yield process, os.waitstatus_to_exitcode(status)

    def _kill_all(self) -> list[int]:
        for process in self._alive.values():
            os.kill(process.pid, signal.SIGKILL)
        return [*self]


def _exit_reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
