"""An engine: a running server process of a model, from its listening socket to its end.

The lab binds and listens, and passes the socket: no race for a port. Ready means that the engine said so after
its threads were up, *and* that it has answered a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from app import addresses
from app.errors import Busy, NotNow, StartFailed
from app.fleet.stderr_events import Said
from app.machine.child import Child, ExitStatus
from app.machine.cpu_placement import pin
from app.machine.proc import ProcessReading, SwitchReading, read_processes, read_switches
from app.moment import written
from app.schemas.engine import EngineView, ExitView
from app.schemas.states import EngineState
from app.trace.recording import Recording
from app.trace.tracing import Tracing
from engines.common.board.board import make_board
from engines.common.board.reader import BoardReader
from engines.common.contract import Model

READY_WITHIN_S = 15.0
ANSWER_WITHIN_S = 3.0
PROBE_CLOSED_WITHIN_S, PROBE_POLL_S = 0.5, 0.002
LAST_LINES = 12
SCARCE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

Changed = Callable[["Engine", str], None]


def listen(host: str, port: int, backlog: int, shared: bool = False) -> socket.socket:
    """A listening socket; raises NotNow when the port is taken, and Busy when the lab has no descriptor left."""
    try:
        return addresses.listen(host, port, backlog, shared)
    except OSError as error:
        if error.errno in SCARCE:
            raise Busy(f"The lab cannot open another socket: {error.strerror}.") from error
        raise NotNow(f"Cannot listen on {addresses.bracketed(host)}:{port}: {error.strerror}.") from error


class Engine:
    """One engine and what the lab knows of it. `changed` is told of every change of state, with a sentence; `said` of
    what it says on stderr."""

    def __init__(
        self,
        id: str,
        model: Model,
        knobs: dict[str, int | str],
        changed: Changed,
        said: Changed = lambda *_: None,
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
        self._said: dict[str, Any] = {}
        self._changed = changed
        self._heard = Said(lambda line: said(self, line))
        self._since = datetime.now(UTC)
        self._born_s = time.monotonic()
        self._died_s: float | None = None
        self._suspended = False

    @property
    def alive(self) -> bool:
        return self.state.is_alive

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    @property
    def processes(self) -> tuple[int, ...]:
        """The process that was started, and those that it has forked, by its board."""
        if self.child is None or self.board is None:
            return ()
        return (self.child.pid, *(pid for pid in self.board.processes() if pid != self.child.pid))

    def process(self) -> ProcessReading | None:
        """What the kernel knows of all its processes together; None when it is gone."""
        return read_processes(processes) if (processes := self.processes) else None

    def switches(self) -> SwitchReading | None:
        return read_switches(processes) if (processes := self.processes) else None

    def pin(self, cpus: Sequence[int] | None) -> None:
        """Move all its processes; the first one first, so that whatever it forks meanwhile inherits the place."""
        for pid in self.processes:
            pin(pid, tuple(cpus) if cpus else None)

    def traced(self, on: bool, shown: bool = False) -> AbstractContextManager[Recording | None]:
        """While a run goes: record its threads, or keep the trace off whoever watches; unless it is only `shown`, as
        one of several at once, or a relay: then who watches sees lanes, for nothing is ranked."""
        assert self.tracing
        return self.tracing.during_run(on, lock=not on and not shown)

    @property
    def reach(self) -> str:
        """The address under which this machine itself reaches it."""
        return addresses.reachable(self.host)

    @property
    def log(self) -> tuple[str, ...]:
        return tuple(self.child.log) if self.child else ()

    def spawn(
        self, python: str, listener: socket.socket, calibration: str, cpus: Sequence[int] | None
    ) -> None:
        """Start the process; closes `listener` here, or clients would connect to a socket that nobody serves.

        Raises Busy where the lab has too few descriptors or processes; then nothing was started, and nothing is left.
        """
        with listener, contextlib.ExitStack() as lent, contextlib.ExitStack() as ours:
            try:
                board = make_board(self.model.board_rows(self.knobs), self.model.descriptor_words(self.knobs))
                lent.callback(os.close, board)
                self._ready_fd, theirs = os.pipe()
                lent.callback(os.close, theirs)
                ours.callback(os.close, self._ready_fd)
                reader = BoardReader(board)
                ours.callback(reader.close)
                self.host, self.port = listener.getsockname()[:2]
                argv = [
                    python,
                    "-m",
                    "engines",
                    self.model.name,
                    "--listen-fd",
                    str(listener.fileno()),
                    "--board-fd",
                    str(board),
                    "--ready-fd",
                    str(theirs),
                    "--lifeline-fd",
                    "{lifeline}",
                    "--parent-pid",
                    str(os.getpid()),
                    "--calibration",
                    calibration,
                    *(part for name, value in self.knobs.items() for part in ("--set", f"{name}={value}")),
                ]
                self.child = Child.spawn(argv, pass_fds=(listener.fileno(), board, theirs))
            except OSError as error:
                raise Busy(f"The lab cannot start a process: {os.strerror(error.errno or 0)}.") from error
            ours.pop_all()
        self.child.on_line = self._heard.line
        self.board = reader
        self.tracing = Tracing(reader)
        self.cpus = tuple(cpus) if cpus else None
        if cpus:
            self.pin(cpus)
        self.child.exited.add_done_callback(lambda done: self._ended(done.result()))
        self._changed(self, f"{self.id} is starting on port {self.port}")

    async def wait_ready(self) -> None:
        """Until it has said ready and answered a request; raises StartFailed with its last words."""
        assert self.child
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                self._said = json.loads(await self._first_line() or b"{}")
                if self._said:
                    if self.cpus:
                        self.pin(self.cpus)  # also the threads that began before the first pin
                    await self._answers()
                    await self._probe_closed()
        except (TimeoutError, OSError, ValueError) as error:
            if self.state not in (EngineState.DRAINING, EngineState.STOPPED):
                if self.child.alive:
                    await self.child.stop(0.2)
                self._fail(f"It did not become ready: {error or 'no answer in time'}.")
        if (
            self.child.alive and self._said and self.state == EngineState.STARTING
        ):  # nobody has stopped it meanwhile
            self.state = EngineState.READY
            self._changed(self, f"{self.id} is ready on port {self.port}")
            return
        await self.child.exited
        raise StartFailed(
            f"{self.id} {self.exit.reason if self.exit else 'ended'} {' '.join(self.log[-3:])}".strip()
        )

    async def stop(self, force: bool = False) -> None:
        """Drain and stop within the grace; `force` kills. Returns when it is gone."""
        if not self.alive or not self.child:
            return
        if self.state != EngineState.DRAINING:
            self.state = EngineState.DRAINING
            self._changed(
                self, f"{self.id} drains: it takes no new connections and finishes what is in flight"
            )
        await self.child.stop(0.0 if force else float(self.knobs["grace_s"]) + 1.0)

    def update_state(self, suspended: bool) -> None:
        """Tell ready from degraded by the board's flags, and by whether one of its processes is `suspended`."""
        self._suspended = suspended
        if self.state.is_serving:
            state = EngineState.DEGRADED if self.detail else EngineState.READY
            if state != self.state:
                self.state = state
                self._changed(self, f"{self.id} is {state}{f': {self.detail}' if self.detail else ' again'}")

    @property
    def detail(self) -> str | None:
        """Why it is degraded."""
        if self.board is None or not self.alive:
            return None
        if self._suspended:
            return "It is stopped by a signal (SIGSTOP), and answers nothing until it is continued (SIGCONT)."
        out, full = self.board.flags()
        if out:
            return "Out of descriptors: it accepts again when connections close."
        if full:
            return "At its limit of connections or threads: it accepts again when connections close."
        return None

    def view(self) -> EngineView:
        end_s = self._died_s if self._died_s is not None else time.monotonic()
        return EngineView(
            id=self.id,
            model=self.model.name,
            state=self.state,
            host=self.host,
            port=self.port,
            url=f"http://{addresses.bracketed(self.reach)}:{self.port}/" if self.port else None,
            pid=self.pid if self.alive else None,
            knobs=self.knobs,
            cpus=self.cpus,
            python=self._said.get("python"),
            gil=self._said.get("gil"),
            started_at=written(self._since),
            uptime_s=round(end_s - self._born_s, 3),
            exit=self.exit,
            detail=self.detail,
        )

    async def _first_line(self) -> bytes:
        """The ready line; empty when the engine ended without one."""
        loop, ready = asyncio.get_running_loop(), self._ready_fd
        told: asyncio.Future[bytes] = loop.create_future()
        said = bytearray()

        def read() -> None:
            data = os.read(ready, 4096)
            said.extend(data)
            if not told.done() and (not data or said.endswith(b"\n")):
                told.set_result(bytes(said))

        loop.add_reader(ready, read)
        try:
            return await told
        finally:
            loop.remove_reader(ready)
            os.close(ready)

    async def _answers(self) -> None:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(self.reach, self.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if not status.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"it answered {status!r}")

    async def _probe_closed(self) -> None:
        """Wait until the engine has closed the connection of `_answers`, which would count as one of its clients'."""
        assert self.board
        deadline_s = time.monotonic() + PROBE_CLOSED_WITHIN_S
        while sum(self.board.read().connections.values()) and time.monotonic() < deadline_s:
            await asyncio.sleep(PROBE_POLL_S)

    def _fail(self, reason: str) -> None:
        self.state = EngineState.FAILED
        self.exit = ExitView(None, None, reason, self.log[-LAST_LINES:])
        self._changed(self, f"{self.id} failed: {reason}")

    def _ended(self, exit: ExitStatus) -> None:
        self._died_s = time.monotonic()
        self._heard.flush()
        if self.state == EngineState.FAILED:
            return
        if self.state == EngineState.STARTING:
            self.state, reason = EngineState.FAILED, f"ended {exit} while starting."
        elif self.state == EngineState.DRAINING:
            self.state, reason = EngineState.STOPPED, f"was stopped and ended {exit}."
        else:
            self.state, reason = EngineState.EXITED, f"ended unexpectedly {exit}."
        self.exit = ExitView(exit.code, exit.signal, reason, self.log[-LAST_LINES:])
        self._changed(self, f"{self.id} {reason}")
