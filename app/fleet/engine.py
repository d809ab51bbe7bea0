"""An engine: a running server process of a model, or an external server, from its start to its end.

What differs between the two is in its backend: `model_backend.py` and `external_backend.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from app import addresses
from app.errors import StartFailed
from app.fleet.backend import Backend, PortTaken
from app.fleet.board import Board
from app.fleet.failure_lines import failure_lines
from app.fleet.stderr_events import RateLimiter
from app.machine.accept_queue import AcceptQueue, read_accept_queue
from app.machine.child import Child, ExitStatus
from app.machine.cpu_placement import pin
from app.machine.proc import ProcessReading, SwitchReading, read_switches
from app.machine.unread import count_unread
from app.schemas.engine import EngineView, ExitView
from app.schemas.states import EngineState
from app.servers.processes import ProcessCpu
from app.timestamps import rfc3339
from app.trace.recording import Recording
from app.trace.tracing import Tracing
from engines.common.board.reader import BoardReader

ATTEMPTS = 3  # to start on a free port: another process can take it before the server does
LAST_LINES = 12

OnEngine = Callable[["Engine", str], None]


class Engine:
    """One engine and its processes. Event loop of the main thread only.

    on_state: called with the engine and a sentence after each change of state.
    on_stderr: called with the engine and a line of its stderr, at a limited rate.
    """

    def __init__(
        self,
        id: str,
        backend: Backend,
        on_state: OnEngine,
        on_stderr: OnEngine = lambda *_: None,
    ) -> None:
        self.id = id
        self.name, self.title = backend.name, backend.title
        self.thread_model, self.is_external = backend.thread_model, backend.is_external
        self.knobs = backend.knobs
        self.state = EngineState.STARTING
        self.cpus: tuple[int, ...] | None = None
        self.child: Child | None = None
        self.exit: ExitView | None = None
        self._backend = backend
        self._placement: tuple[int, ...] | None = None  # CPUs of the last `pin`
        self._pinned: frozenset[int] = frozenset()  # processes that were moved there
        self._on_state = on_state
        self._stderr_limiter = RateLimiter(lambda line: on_stderr(self, line))
        self._started_at = datetime.now(UTC)
        self._started_s = time.monotonic()
        self._ended_s: float | None = None
        self._is_suspended = False

    @property
    def host(self) -> str:
        return self._backend.host

    @property
    def port(self) -> int | None:
        return self._backend.port

    @property
    def board(self) -> Board | None:
        return self._backend.board

    @property
    def metrics_board(self) -> BoardReader | None:
        """Its board in shared memory; an external server has none."""
        return self._backend.metrics_board

    @property
    def tracing(self) -> Tracing | None:
        """Its thread trace; an external server has none."""
        return self._backend.tracing

    @property
    def alive(self) -> bool:
        return self.state.is_alive

    @property
    def pid(self) -> int | None:
        """Its first process."""
        return pids[0] if (pids := self.pids) else None

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of its first process, and of those that it has started."""
        return self._backend.pids(self.child) if self.child else ()

    def read_process(self) -> ProcessReading | None:
        """Return CPU time and memory of all its processes together; None if it has ended."""
        return self._backend.read_process(self.child) if self.child else None

    def read_each_process(self) -> tuple[ProcessCpu, ...]:
        """Return the processes of an external server one by one; empty for a model of the lab."""
        return self._backend.read_each_process(self.child) if self.child else ()

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

        The process that the lab started is moved first, so that processes that are forked meanwhile inherit
        the placement. Those that appear later are moved at the next sample.
        """
        if self.child is None:
            return
        self._placement, self._pinned = tuple(cpus) if cpus else None, frozenset()
        pin(self.child.pid, self._placement)
        self._pin_new()

    def _pin_new(self) -> None:
        """Move processes that have appeared since the last call."""
        pids = frozenset(self.pids)
        for pid in pids - self._pinned:
            pin(pid, self._placement)
        self._pinned = pids

    def trace_run(
        self, record: bool, allow_viewers: bool = False
    ) -> AbstractContextManager[Recording | None]:
        """Return a context manager for the duration of a run: see `Tracing.during_run`.

        record: record the threads. allow_viewers: viewers may trace the threads, because the run is not
        ranked. An external server is never traced.
        """
        if self.tracing is None:
            return nullcontext()
        return self.tracing.during_run(record, lock=not record and not allow_viewers)

    @property
    def connect_host(self) -> str:
        """The address at which this machine can connect to it."""
        return addresses.reachable(self.host)

    @property
    def log(self) -> tuple[str, ...]:
        return tuple(self.child.log) if self.child else ()

    def spawn(self, cpus: Sequence[int] | None) -> None:
        """Start it. `cpus`: where to pin it.

        Raises Busy if descriptors or processes are exhausted; then no process and no descriptor is left.
        """
        self.cpus = tuple(cpus) if cpus else None
        self._spawn()

    def _spawn(self) -> None:
        self.child = child = self._backend.spawn()
        child.on_line = self._stderr_limiter.add
        child.exited.add_done_callback(lambda exited: self._on_exit(child, exited.result()))
        if self.cpus:
            self.pin(self.cpus)
        self._on_state(self, f"{self.id} is starting on port {self.port}")

    async def wait_ready(self) -> None:
        """Wait until the engine is ready. Raises StartFailed with the last lines of its stderr."""
        is_ready = False
        try:
            is_ready = await self._check_ready()
        except (TimeoutError, OSError, ValueError, PortTaken) as error:
            if self.state not in (EngineState.DRAINING, EngineState.STOPPED):
                self._fail(f"did not become ready: {str(error) or 'no response in time'}.")
        assert self.child
        if self.child.alive and is_ready and self.state == EngineState.STARTING:
            self.state = EngineState.READY
            self._on_state(self, f"{self.id} is ready on port {self.port}")
            return
        if self.state == EngineState.FAILED:
            await self._backend.stop(self.child, force=True)
        await self.child.exited
        await asyncio.sleep(0)  # `_on_exit` is called in the next turn of the event loop
        reason = self.exit.reason if self.exit else "ended"
        lines = "; ".join(line.rstrip(".") for line in failure_lines(self.log))
        raise StartFailed(f"{self.id} {reason} {lines}".strip())

    async def _check_ready(self) -> bool:
        """Return whether the engine answers; start it again on another port if its port was taken."""
        for attempt in range(1, ATTEMPTS + 1):
            assert self.child
            try:
                is_ready = await self._backend.wait_ready(self.child)
                break
            except PortTaken:
                if attempt == ATTEMPTS:
                    raise
                # Without a child for a moment, so that the end of this one is not the end of the engine.
                child, self.child = self.child, None
                await self._backend.stop(child, force=True)
                self._spawn()
        if is_ready and self.cpus:
            self.pin(self.cpus)  # also the threads that began before the first pin
        return is_ready

    async def stop(self, force: bool = False) -> None:
        """Drain and stop within the engine's grace, or kill it with `force`. Returns when it has ended."""
        if not self.alive or not self.child:
            return
        if self.state != EngineState.DRAINING:
            self.state = EngineState.DRAINING
            self._on_state(self, f"{self.id} is draining: finishing in-flight requests")
        await self._backend.stop(self.child, force)

    def update_state(self, suspended: bool) -> None:
        """Switch between ready and degraded, by the board's flags and by whether a process is `suspended`."""
        self._is_suspended = suspended
        if self._placement and self.alive:
            self._pin_new()
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
            model=self.name,
            state=self.state,
            host=self.host,
            port=self.port,
            url=f"http://{addresses.bracketed(self.connect_host)}:{self.port}/" if self.port else None,
            pid=self.pid if self.alive else None,
            knobs=self.knobs,
            cpus=self.cpus,
            python=self._backend.runtime.python,
            gil=self._backend.runtime.gil,
            started_at=rfc3339(self._started_at),
            uptime_s=round(end_s - self._started_s, 3),
            exit=self.exit,
            detail=self.detail,
            server=self.name if self.is_external else None,
            thread_model=self.thread_model or None,
            version=self._backend.runtime.version,
        )

    def _fail(self, reason: str) -> None:
        self.state = EngineState.FAILED
        self.exit = ExitView(None, None, reason, self.log[-LAST_LINES:])
        self._on_state(self, f"{self.id} failed: {reason}")

    def _on_exit(self, child: Child, status: ExitStatus) -> None:
        self._backend.on_exit(child)
        if child is not self.child:
            return
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
