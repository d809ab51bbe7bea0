"""The seam between an engine and what it runs: a model's process, or an external server behind its guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.fleet.board import Board
from app.machine.child import Child
from app.machine.proc import ProcessReading
from app.servers.processes import ProcessCpu
from app.trace.tracing import Tracing
from engines.common.board.reader import BoardReader


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an engine runs on. None: not known."""

    python: str | None = None
    gil: bool | None = None
    version: str | None = None  # of an external server


class PortTaken(Exception):
    """Another process listens on the port. The message is a sentence."""


class Backend(Protocol):
    """Starts one server and reads it. Event loop of the main thread only.

    - `name`, `title`: of the model or of the external server. `is_external`: the server is not of the lab.
    - `thread_model`: the name of the model that it has; empty: not known.
    - `knobs`: the value of every knob. `host`, `port`: where it listens; empty and None before the start.
    - `board`: None before the start. `metrics_board`: the same if it is in shared memory, with connections
      and trace. `tracing`: None for an external server.
    - `runtime`: known when the server is ready.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def thread_model(self) -> str: ...
    @property
    def is_external(self) -> bool: ...
    @property
    def knobs(self) -> dict[str, int | str]: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def board(self) -> Board | None: ...
    @property
    def metrics_board(self) -> BoardReader | None: ...
    @property
    def tracing(self) -> Tracing | None: ...
    @property
    def runtime(self) -> Runtime: ...

    def spawn(self) -> Child:
        """Start the server. Raises Busy if descriptors, processes or ports are exhausted."""
        ...

    async def wait_ready(self, child: Child) -> bool:
        """Wait until the server answers. Returns False if it ended without a reason.

        Raises PortTaken, and OSError, TimeoutError or ValueError for what went wrong.
        """
        ...

    def pids(self, child: Child) -> tuple[int, ...]:
        """Return the ids of all processes of the server, the first one first."""
        ...

    def read_process(self, child: Child) -> ProcessReading | None:
        """Return CPU time and memory of all its processes together; None if the first has ended."""
        ...

    def read_each_process(self, child: Child) -> tuple[ProcessCpu, ...]:
        """Return the processes of an external server one by one; empty for a model of the lab."""
        ...

    async def stop(self, child: Child, force: bool) -> None:
        """Drain and stop it, or kill it with `force`. Returns when no process of it is left."""
        ...

    def on_exit(self, child: Child) -> None:
        """Called when the process that the lab started has ended."""
        ...
