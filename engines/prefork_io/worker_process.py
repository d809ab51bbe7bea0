"""Worker processes: forked with a share of the limits, stopped, reaped and replaced.

Master and worker share a socket pair. The worker writes to it when it is ready, and treats its end as the
order to stop: the end comes when the master orders it, and when the master dies. The kernel's parent-death
signal covers a worker that hangs. Workers ignore the signals that a terminal sends to the whole process
group.

A worker that is killed (by an operator, a lack of memory, a fault in C) is replaced. A worker that ends by an
uncaught exception ends the engine: its replacement would end again, and measurements would be wrong.
"""

from __future__ import annotations

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
from typing import NoReturn

from engines.common.board.board import PID
from engines.common.board.row import BoardRow
from engines.common.board.writer import Board
from engines.common.contract import Setup
from engines.common.log import log
from engines.common.process.lifecycle import die_with_parent, set_descriptor_limit
from engines.common.process.threads import EXIT_CRASHED, exit_at_once
from engines.common.wsgi.application import CannotLoad

READY = b"u"
READY_TIMEOUT_S = 30.0
RESTART_INTERVAL_S = 1.0  # a worker is started at most once in it
KILL_AFTER_S = 0.25  # after the grace period, at whose end a worker exits by itself


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker process as its master sees it."""

    index: int
    pid: int
    channel: socket.socket
    row: BoardRow
    board: Board
    started_s: float

    def __str__(self) -> str:
        return f"worker process {self.index + 1}"


class WorkerProcesses:
    """All worker processes. Iterating yields descriptors that become readable when a process ends.

    Used by the master's only thread, because it forks.
    """

    def __init__(self, setup: Setup, work: Callable[[Setup, BoardRow], None]) -> None:
        self._setup = setup
        self._work = work
        self._alive: dict[int, WorkerProcess] = {}
        self._replaced = 0
        for process in [self._fork(index) for index in range(setup.knobs.processes)]:
            if problem := self._wait_ready(process):
                sys.exit(f"{process} {problem}")

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._alive))

    def replace(self, ready: list[int]) -> None:
        """Start another process for each of `ready` that was killed; exit if one ended by itself."""
        for process, code in self._reap(ready):
            if code >= 0:
                log(f"{process} exited ({_exit_reason(code)}): the engine stops\n")
                exit_at_once(EXIT_CRASHED)
            self._replaced += 1
            reason = f"was killed ({_exit_reason(code)}); starting replacement {self._replaced}"
            log(f"{process} {reason}\n")
            self._throttle_restart(process)
            self._wait_ready(self._fork(process.index))

    def stop(self) -> None:
        """Drain all processes and return when they have ended; kill what outlives the grace period."""
        for process in self._alive.values():
            process.channel.shutdown(socket.SHUT_WR)
        drain_deadline_s = time.monotonic() + self._setup.knobs.grace_s + KILL_AFTER_S
        while self._alive:
            ready, _, _ = select.select([*self], [], [], max(0.0, drain_deadline_s - time.monotonic()))
            for process, code in self._reap(ready or self._kill_all()):
                if code:
                    log(f"{process} did not drain within the grace period ({_exit_reason(code)})\n")

    def _throttle_restart(self, process: WorkerProcess) -> None:
        """Wait until RESTART_INTERVAL_S after the start of `process`, or until the engine must stop."""
        early_s = process.started_s + RESTART_INTERVAL_S - time.monotonic()
        if early_s > 0:
            select.select([self._setup.stopping], [], [], early_s)

    def _wait_ready(self, process: WorkerProcess) -> str:
        """Wait until a worker process is ready, or the engine must stop; else return what went wrong."""
        channel = process.channel.fileno()
        ready, _, _ = select.select([channel, self._setup.stopping], [], [], READY_TIMEOUT_S)
        if channel in ready and process.channel.recv(1) != READY:
            return "ended before it was ready"
        return "" if ready else f"was not ready within {READY_TIMEOUT_S:g} s"

    def _fork(self, index: int) -> WorkerProcess:
        """Start a worker process."""
        row = self._setup.board.claim("worker", index)
        board = self._setup.board.partition(index, self._setup.knobs.processes)
        master_end, worker_end = socket.socketpair()
        master = os.getpid()
        if (pid := os.fork()) == 0:
            master_end.close()
            self._run_worker(master, self._worker_setup(board, index, worker_end), row)
        worker_end.close()
        row.cells[PID] = pid
        process = WorkerProcess(index, pid, master_end, row, board, time.monotonic())
        self._alive[os.pidfd_open(pid)] = process
        return process

    def _worker_setup(self, board: Board, index: int, channel: socket.socket) -> Setup:
        """Return a worker's setup: its share of the connections, its partition and its channel."""
        most, over = divmod(self._setup.knobs.max_connections, self._setup.knobs.processes)
        knobs = SimpleNamespace(**vars(self._setup.knobs) | {"max_connections": most + (index < over)})

        def announce_ready() -> None:
            channel.send(READY)

        return replace(self._setup, board=board, knobs=knobs, stopping=channel.fileno(), ready=announce_ready)

    def _run_worker(self, master: int, setup: Setup, row: BoardRow) -> NoReturn:
        """Run the forked process to its end, without signal handlers and descriptors of the master."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)  # not SIG_IGN, which a subprocess would inherit
            die_with_parent(master)
            for pidfd, sibling in self._alive.items():
                os.close(pidfd)
                sibling.channel.close()
            set_descriptor_limit(len(setup.board.words))
            setup.board.attach(row)
            setup.handler.load()
            self._work(setup, row)
            exit_at_once(0)
        except CannotLoad as problem:
            problem.report()
        except SystemExit as end:
            log(f"{end}\n")
        except BaseException:
            log(traceback.format_exc())
        exit_at_once(EXIT_CRASHED)

    def _reap(self, ready: list[int]) -> Iterator[tuple[WorkerProcess, int]]:
        """Yield each process of `ready` that has ended with its exit code, or minus its signal."""
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
