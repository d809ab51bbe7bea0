"""An engine: a running server process of a model, from its listening socket to its end.

The lab binds the socket, listens and passes it to the process, so there is no race for a port. With the knob
`accept=reuseport` it only binds, and the engine's processes listen. An engine is ready when it has reported
that its threads run *and* has answered a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from app import addresses
from app.errors import Busy, StartFailed
from app.fleet import readiness
from app.fleet.stderr_events import RateLimiter
from app.machine.accept_queue import AcceptQueue, read_accept_queue
from app.machine.child import Child, ExitStatus
from app.machine.cpu_placement import pin
from app.machine.proc import ProcessReading, SwitchReading, read_processes, read_switches
from app.machine.unread import count_unread
from app.schemas.engine import EngineView, ExitView
from app.schemas.states import EngineState
from app.timestamps import rfc3339
from app.trace.recording import Recording
from app.trace.tracing import Tracing
from engines.common.board.board import make_board
from engines.common.board.reader import BoardReader
from engines.common.contract import Model

READY_TIMEOUT_S = 15.0
FAILED_START_GRACE_S = 0.2
STOP_MARGIN_S = 1.0  # added to the engine's own grace before it is killed
LAST_LINES = 12

OnEngine = Callable[["Engine", str], None]


class Engine:
    """One engine and its process. Event loop of the main thread only.

    on_state: called with the engine and a sentence after each change of state.
    on_stderr: called with the engine and a line of its stderr, at a limited rate.
    """

    def __init__(
        self,
        id: str,
        model: Model,
        knobs: dict[str, int | str],
        on_state: OnEngine,
        on_stderr: OnEngine = lambda *_: None,
    ) -> None:
        self.id = id
        self.model = model
        self.knobs = knobs
        self.state = EngineState.STARTING
        self.cpus: tuple[int, ...] | None = None
        self.host = ""
        self.port: int | None = None
        self.board: BoardReader | None = None
        self.tracing: Tracing | None = None
        self.child: Child | None = None
        self.exit: ExitView | None = None
        self._interpreter: dict[str, Any] = {}  # Python version and GIL, from the ready line
        self._on_state = on_state
        self._stderr_limiter = RateLimiter(lambda line: on_stderr(self, line))
        self._started_at = datetime.now(UTC)
        self._started_s = time.monotonic()
        self._ended_s: float | None = None
        self._is_suspended = False

    @property
    def alive(self) -> bool:
        return self.state.is_alive

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of the process that was started, and of those that it has forked."""
        if self.child is None or self.board is None:
            return ()
        return (self.child.pid, *(pid for pid in self.board.processes() if pid != self.child.pid))

    def read_process(self) -> ProcessReading | None:
        """Return CPU time and memory of all its processes together; None if it has ended."""
        return read_processes(pids) if (pids := self.pids) else None

    def read_switches(self) -> SwitchReading | None:
        """Return context switches and run-queue wait of its live threads; None if it has ended."""
        return read_switches(pids) if (pids := self.pids) else None

    def read_accept_queue(self) -> AcceptQueue | None:
        """Return the accept queue of its listening sockets; None if it is unknown."""
        return read_accept_queue(self.host, self.port) if self.port else None

    def count_unread(self) -> int | None:
        """Return how many connections have bytes that it has not read; None if that is unknown."""
        return count_unread(self.host, self.port) if self.port else None

    def pin(self, cpus: Sequence[int] | None) -> None:
        """Move all its processes to these CPUs; None: to all usable ones.

        The first process is moved first, so that processes that it forks meanwhile inherit the placement.
        """
        for pid in self.pids:
            pin(pid, tuple(cpus) if cpus else None)

    def trace_run(
        self, record: bool, allow_viewers: bool = False
    ) -> AbstractContextManager[Recording | None]:
        """Return a context manager for the duration of a run: see `Tracing.during_run`.

        record: record the threads. allow_viewers: viewers may trace the threads, because the run is not
        ranked.
        """
        assert self.tracing
        return self.tracing.during_run(record, lock=not record and not allow_viewers)

    @property
    def connect_host(self) -> str:
        """The address at which this machine can connect to it."""
        return addresses.reachable(self.host)

    @property
    def log(self) -> tuple[str, ...]:
        return tuple(self.child.log) if self.child else ()

    def spawn(
        self, python: str, listener: socket.socket, calibration: str, cpus: Sequence[int] | None
    ) -> None:
        """Start the process and close `listener` here, so that the port is closed when the process ends.

        python: path of the interpreter. calibration: see `Models`. cpus: where to pin it.
        Raises Busy if descriptors or processes are exhausted; then no process and no descriptor is left.
        """
        with listener, contextlib.ExitStack() as lent, contextlib.ExitStack() as kept:
            try:
                rows, words = self.model.board_rows(self.knobs), self.model.descriptor_words(self.knobs)
                board_fd = make_board(rows, words)
                lent.callback(os.close, board_fd)
                self._ready_fd, ready_write_fd = os.pipe()
                lent.callback(os.close, ready_write_fd)
                kept.callback(os.close, self._ready_fd)
                board = BoardReader(board_fd)
                kept.callback(board.close)
                self.host, self.port = listener.getsockname()[:2]
                fds = listener.fileno(), board_fd, ready_write_fd
                self.child = Child.spawn(self._command(python, calibration, *fds), pass_fds=fds)
            except OSError as error:
                raise Busy(f"The lab cannot start a process: {os.strerror(error.errno or 0)}.") from error
            kept.pop_all()
        self.child.on_line = self._stderr_limiter.add
        self.board = board
        self.tracing = Tracing(board)
        self.cpus = tuple(cpus) if cpus else None
        if cpus:
            self.pin(cpus)
        self.child.exited.add_done_callback(lambda exited: self._on_exit(exited.result()))
        self._on_state(self, f"{self.id} is starting on port {self.port}")

    def _command(
        self, python: str, calibration: str, listen_fd: int, board_fd: int, ready_fd: int
    ) -> list[str]:
        return [
            python,
            "-m",
            "engines",
            self.model.name,
            "--listen-fd",
            str(listen_fd),
            "--board-fd",
            str(board_fd),
            "--ready-fd",
            str(ready_fd),
            "--lifeline-fd",
            "{lifeline}",
            "--parent-pid",
            str(os.getpid()),
            "--calibration",
            calibration,
            *(argument for name, value in self.knobs.items() for argument in ("--set", f"{name}={value}")),
        ]

    async def wait_ready(self) -> None:
        """Wait until the engine is ready. Raises StartFailed with the last lines of its stderr."""
        assert self.child
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._check_ready()
        except (TimeoutError, OSError, ValueError) as error:
            if self.state not in (EngineState.DRAINING, EngineState.STOPPED):
                if self.child.alive:
                    await self.child.stop(FAILED_START_GRACE_S)
                self._fail(f"It did not become ready: {str(error) or 'no response in time'}.")
        if (
            self.child.alive and self._interpreter and self.state == EngineState.STARTING
        ):  # else it was stopped meanwhile
            self.state = EngineState.READY
            self._on_state(self, f"{self.id} is ready on port {self.port}")
            return
        await self.child.exited
        raise StartFailed(
            f"{self.id} {self.exit.reason if self.exit else 'ended'} {' '.join(self.log[-3:])}".strip()
        )

    async def _check_ready(self) -> None:
        """Wait for the ready line and check that the engine answers. Returns early if it ended without it."""
        self._interpreter = json.loads(await readiness.read_ready_line(self._ready_fd) or b"{}")
        if not self._interpreter:
            return
        if self.cpus:
            self.pin(self.cpus)  # also the threads that began before the first pin
        assert self.board and self.port
        await readiness.check_health(self.connect_host, self.port)
        await readiness.wait_probe_closed(self.board)

    async def stop(self, force: bool = False) -> None:
        """Drain and stop within the engine's grace, or kill it with `force`. Returns when it has ended."""
        if not self.alive or not self.child:
            return
        if self.state != EngineState.DRAINING:
            self.state = EngineState.DRAINING
            self._on_state(self, f"{self.id} is draining: finishing in-flight requests")
        await self.child.stop(0.0 if force else float(self.knobs["grace_s"]) + STOP_MARGIN_S)

    def update_state(self, suspended: bool) -> None:
        """Switch between ready and degraded, by the board's flags and by whether a process is `suspended`."""
        self._is_suspended = suspended
        if self.state.is_serving:
            state = EngineState.DEGRADED if self.detail else EngineState.READY
            if state != self.state:
                self.state = state
                self._on_state(self, f"{self.id} is {state}{f': {self.detail}' if self.detail else ' again'}")

    @property
    def detail(self) -> str | None:
        """Why it is degraded; None if it is not."""
        if self.board is None or not self.alive:
            return None
        if self._is_suspended:
            return "Suspended by a signal (SIGSTOP): it does not respond until it is continued (SIGCONT)."
        out_of_descriptors, saturated = self.board.flags()
        if out_of_descriptors:
            return "Out of file descriptors: it accepts again when connections close."
        if saturated:
            return "Connection or thread limit reached: it accepts again when connections close."
        return None

    def view(self) -> EngineView:
        """Return the engine as API and pages show it."""
        end_s = self._ended_s if self._ended_s is not None else time.monotonic()
        return EngineView(
            id=self.id,
            model=self.model.name,
            state=self.state,
            host=self.host,
            port=self.port,
            url=f"http://{addresses.bracketed(self.connect_host)}:{self.port}/" if self.port else None,
            pid=self.pid if self.alive else None,
            knobs=self.knobs,
            cpus=self.cpus,
            python=self._interpreter.get("python"),
            gil=self._interpreter.get("gil"),
            started_at=rfc3339(self._started_at),
            uptime_s=round(end_s - self._started_s, 3),
            exit=self.exit,
            detail=self.detail,
        )

    def _fail(self, reason: str) -> None:
        self.state = EngineState.FAILED
        self.exit = ExitView(None, None, reason, self.log[-LAST_LINES:])
        self._on_state(self, f"{self.id} failed: {reason}")

    def _on_exit(self, status: ExitStatus) -> None:
        self._ended_s = time.monotonic()
        self._stderr_limiter.flush()
        if self.state == EngineState.FAILED:
            return
        if self.state == EngineState.STARTING:
            self.state, reason = EngineState.FAILED, f"ended {status} while starting."
        elif self.state == EngineState.DRAINING:
            self.state, reason = EngineState.STOPPED, f"was stopped and ended {status}."
        else:
            self.state, reason = EngineState.EXITED, f"ended unexpectedly {status}."
        self.exit = ExitView(status.code, status.signal, reason, self.log[-LAST_LINES:])
        self._on_state(self, f"{self.id} {reason}")
