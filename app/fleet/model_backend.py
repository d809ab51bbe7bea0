"""Runs an engine of one of the lab's models: a process of the package `engines`.

The lab binds the socket, listens and passes it to the process, so there is no race for a port. With the knob
`accept=reuseport` it only binds, and the engine's processes listen. An engine is ready when it has reported
that its threads run *and* has answered a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

from app import addresses
from app.errors import Busy
from app.fleet import readiness
from app.fleet.backend import Runtime
from app.machine.child import Child
from app.machine.child_environment import engine_environment
from app.machine.proc import ProcessReading, read_processes
from app.servers.application import UserApplication
from app.servers.environment import MARK
from app.servers.processes import ProcessCpu
from app.servers.sweep import kill_marked
from app.trace.tracing import Tracing
from engines.common.board.board import make_board
from engines.common.board.reader import BoardReader
from engines.common.contract import Model

READY_TIMEOUT_S = 30.0
STOP_MARGIN_S = 1.0  # added to the engine's own grace before it is killed


class ModelBackend:
    """One engine process of a model. Satisfies `Backend`; event loop of the main thread only."""

    is_external = False

    def __init__(
        self,
        model: Model,
        knobs: dict[str, int | str],
        python: str,
        listener: socket.socket,
        calibration: str,
        application: UserApplication | None = None,
    ) -> None:
        """`python`: path of the interpreter. `listener`: closed by `spawn`. `calibration`: see `Models`.

        `application`: what the engine serves in place of the work kinds.
        """
        self.name = self.thread_model = model.name
        self.title = model.title
        self.knobs = knobs
        self.host = ""
        self.port: int | None = None
        self.board: BoardReader | None = None
        self.metrics_board: BoardReader | None = None
        self.tracing: Tracing | None = None
        self.runtime = Runtime()
        self._model = model
        self._python = python
        self._listener = listener
        self._calibration = calibration
        self._application = application
        self._problem = ""  # why it is not ready yet
        self._mark = secrets.token_hex(16)  # of the processes that the application starts

    def spawn(self) -> Child:
        """Start the process and close the listener here, so that the port is closed when it ends.

        Raises Busy if descriptors or processes are exhausted; then no process and no descriptor is left.
        """
        with self._listener as listener, contextlib.ExitStack() as lent, contextlib.ExitStack() as kept:
            try:
                rows, words = self._model.board_rows(self.knobs), self._model.descriptor_words(self.knobs)
                board_fd = make_board(rows, words)
                lent.callback(os.close, board_fd)
                self._ready_fd, ready_write_fd = os.pipe()
                lent.callback(os.close, ready_write_fd)
                kept.callback(os.close, self._ready_fd)
                board = BoardReader(board_fd)
                kept.callback(board.close)
                self.host, self.port = listener.getsockname()[:2]
                fds = listener.fileno(), board_fd, ready_write_fd
                child = Child.spawn(self._command(*fds), fds, environment=self._environment)
            except OSError as error:
                raise Busy(f"The lab cannot start a process: {os.strerror(error.errno or 0)}.") from error
            kept.pop_all()
        self.board = self.metrics_board = board
        self.tracing = Tracing(board)
        return child

    def _command(self, listen_fd: int, board_fd: int, ready_fd: int) -> list[str]:
        return [
            self._python,
            "-P",  # without the working directory in its path: it may have modules of the same names
            "-m",
            "engines",
            self._model.name,
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
            self._calibration,
            *self._application_arguments(),
            *(argument for name, value in self.knobs.items() for argument in ("--set", f"{name}={value}")),
        ]

    @property
    def _environment(self) -> Mapping[str, str]:
        if not self._application:
            return engine_environment()
        return {**engine_environment(), **self._application.environment, MARK: self._mark}

    def _application_arguments(self) -> tuple[str, ...]:
        if not self._application:
            return ()
        return "--app", self._application.name, "--app-dir", str(self._application.directory)

    async def wait_ready(self, child: Child) -> bool:
        """Wait for the ready line and check that the engine answers."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                return await self._wait_ready()
        except TimeoutError:
            raise ValueError(f"{self._problem} within {READY_TIMEOUT_S:g} s") from None

    async def _wait_ready(self) -> bool:
        self._problem = "it did not load the application" if self._application else "its threads did not run"
        reported: dict[str, Any] = json.loads(await readiness.read_ready_line(self._ready_fd) or b"{}")
        if not reported:
            return False
        self.runtime = Runtime(reported.get("python"), reported.get("gil"))
        assert self.board and self.port
        path, status = ("/healthz", 200) if not self._application else (self._application.ready_path, None)
        self._problem = f"it did not answer GET {path}"
        await readiness.check_health(addresses.reachable(self.host), self.port, path, status)
        await readiness.wait_probe_closed(self.board)
        return True

    def pids(self, child: Child) -> tuple[int, ...]:
        """Return the process that was started, and those that it has forked."""
        if self.board is None:
            return ()
        return (child.pid, *(pid for pid in self.board.processes() if pid != child.pid))

    def read_process(self, child: Child) -> ProcessReading | None:
        """Return CPU time and memory of all its processes together; None if it has ended."""
        return read_processes(pids) if (pids := self.pids(child)) else None

    def read_each_process(self, child: Child) -> tuple[ProcessCpu, ...]:
        """Return nothing: the board shows what its threads do."""
        return ()

    async def stop(self, child: Child, force: bool) -> None:
        """Drain and stop within the engine's grace, or kill it with `force`."""
        await child.stop(0.0 if force else float(self.knobs["grace_s"]) + STOP_MARGIN_S)

    def on_exit(self, child: Child) -> None:
        """End what the user's application has started; the engine's own processes end with the first one."""
        if self._application:
            kill_marked(self._mark)
