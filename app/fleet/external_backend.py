"""Runs an external server: its command, behind a guard that owns all its processes.

Nothing can hand a listening socket to a server of another make, so the lab chooses a free port, and another
process may take it first. The server counts as ready only when every socket that listens on the port belongs
to one of its processes, and one request was answered: load never reaches another program.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app import addresses
from app.errors import Busy
from app.fleet import readiness
from app.fleet.backend import PortTaken, Runtime
from app.machine.child import Child
from app.machine.proc import ProcessReading, read_processes, read_reaped
from app.servers import guard
from app.servers.definition import WSGI, ServerDefinition, command_of
from app.servers.environment import CALIBRATION, MARK, server_environment
from app.servers.installed import version_of
from app.servers.listening import owns_port
from app.servers.outside import OutsideBoard
from app.servers.process_tree import ProcessTree
from app.servers.processes import ProcessCpu, read_each_process
from app.servers.sweep import kill_marked

READY_TIMEOUT_S = 30.0
POLL_S = 0.02
STOP_MARGIN_S = 2.0  # added to the guard's own grace before its lifeline is closed
KILL_TIMEOUT_S = 5.0  # for the guard to end all processes, before it is killed itself
APPS = Path(guard.__file__).with_name("apps")
ROOT = Path(guard.__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class PortChoice:
    """Where a server listens. `choose` returns a free port; `is_fixed`: the requested one, and no other."""

    host: str
    choose: Callable[[], int]
    is_fixed: bool


class ExternalBackend:
    """One external server. Satisfies `Backend`; event loop of the main thread only."""

    is_external = True
    metrics_board = tracing = None

    def __init__(
        self,
        definition: ServerDefinition,
        knobs: dict[str, int | str],
        port: PortChoice,
        python: str,
        calibration: str,
    ) -> None:
        """`python`: path of the interpreter of the engines. `calibration`: see `Models`."""
        self.name, self.title = definition.name, definition.title
        self.thread_model = definition.model
        self.knobs = knobs
        self.host = port.host
        self.port: int | None = None
        self.board: OutsideBoard | None = None
        self.runtime = Runtime()
        self._definition = definition
        self._port_choice = port
        self._python = python
        self._calibration = calibration
        self._tree = ProcessTree(0)
        self._mark = ""
        self._problem = ""  # why it is not ready yet
        self._directory: Path | None = None

    def spawn(self) -> Child:
        """Start the guard, which starts the server. Raises Busy."""
        self.port = self._port_choice.choose()
        try:
            self._directory = Path(tempfile.mkdtemp(prefix=f"threadlab-{self.name}-"))
            child = Child.spawn(
                [sys.executable, "-I", "-S", guard.__file__], stdin=self._job(self._directory)
            )
        except OSError as error:
            self._remove_directory()
            raise Busy(f"The lab cannot start a process: {os.strerror(error.errno or 0)}.") from error
        if self.board:
            self.board.close()
        self._tree = ProcessTree(child.pid)
        self.board = OutsideBoard(self._tree, self.host, self.port)
        return child

    def _job(self, directory: Path) -> bytes:
        """Return what the guard reads from its stdin; writes the server's files."""
        self._mark = secrets.token_hex(16)
        values = {
            **self.knobs,
            "host": self.host,
            "port": self.port,
            "address": f"{addresses.bracketed(self.host)}:{self.port}",
            "python": self._python,
            "apps": APPS,
            "root": ROOT,
            "directory": directory,
            "wsgi": WSGI,
            "wsgi_root": ROOT,
        }
        environment = {**server_environment(os.environ), CALIBRATION: self._calibration}
        command = command_of(self._definition, values, environment)
        for name, content in command.files.items():
            (directory / name).write_text(content, encoding="utf-8")
        job = {
            "argv": command.argv,
            "environment": {**command.environment, MARK: self._mark},
            "directory": str(command.directory),
            "temporary": str(directory),
            "grace_s": self.knobs["grace_s"],
            "stop_signal": self._definition.stop_number,
            "lifeline_fd": "{lifeline}",
        }
        return json.dumps(job).encode()

    async def wait_ready(self, child: Child) -> bool:
        """Wait until its processes listen on the port, and one request was answered. See `Backend`."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                return await self._wait_ready(child)
        except TimeoutError:
            raise ValueError(f"{self._problem} within {READY_TIMEOUT_S:.0f} s") from None

    async def _wait_ready(self, child: Child) -> bool:
        assert self.port is not None
        self._problem = f"it did not listen on port {self.port}"
        while not (owned := owns_port(self._tree.refresh(), self.port)):
            if owned is False or (not child.alive and self._is_taken()):
                self._raise_taken()
            if not child.alive:
                return False
            await child.wait(POLL_S)
        while not await self._answers(child):
            await child.wait(POLL_S)
        version = await asyncio.to_thread(version_of, self._definition, self._python)
        self.runtime = Runtime(version=version)
        return child.alive

    async def _answers(self, child: Child) -> bool:
        """Return whether it answers, or has ended. A server may listen before it can serve."""
        assert self.port is not None
        host = addresses.reachable(self.host)
        path, status = self._definition.ready_path, self._definition.ready_status
        # Code of the user may take long for any response, and repeated requests would make it worse.
        timeout_s = readiness.RESPONSE_TIMEOUT_S if status else None
        self._problem = f"it did not answer GET {path}"
        try:
            await readiness.check_health(host, self.port, path, status, timeout_s)
        except OSError:  # also a timeout
            pass
        except ValueError as error:
            self._problem = f"{error} to GET {path}"
        else:
            return True
        return not child.alive

    def _is_taken(self) -> bool:
        """Return whether another process listens on the port, now that the server has ended."""
        assert self.port is not None
        return owns_port((), self.port) is False

    def _raise_taken(self) -> None:
        text = f"another process listens on port {self.port}"
        if self._port_choice.is_fixed:
            raise ValueError(text)
        raise PortTaken(text)

    def pids(self, child: Child) -> tuple[int, ...]:
        """Return all descendants of the guard."""
        return self._tree.recent() if child.alive else ()

    def read_process(self, child: Child) -> ProcessReading | None:
        """Return the sum over its processes, with the CPU time of those that the guard has reaped."""
        pids = self.pids(child)
        reading = read_processes(pids) if pids else None
        reaped = read_reaped(child.pid)
        return reading + reaped if reading and reaped else reading

    def read_each_process(self, child: Child) -> tuple[ProcessCpu, ...]:
        """Return its processes one by one."""
        assert self.port is not None
        return read_each_process(self.pids(child), self.host, self.port)

    async def stop(self, child: Child, force: bool) -> None:
        """Let the guard stop it; with `force`, or if that takes too long, end all its processes."""
        if not force:
            child.signal(signal.SIGTERM)
            await child.wait(float(self.knobs["grace_s"]) + STOP_MARGIN_S)
        child.close_lifeline()
        if not await child.wait(KILL_TIMEOUT_S):
            await child.stop(0.0)
        await asyncio.to_thread(kill_marked, self._mark)

    def on_exit(self, child: Child) -> None:
        """End processes that outlived a guard that was killed, and remove the temporary directory."""
        kill_marked(self._mark)
        self._remove_directory()

    def _remove_directory(self) -> None:
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
