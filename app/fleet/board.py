"""What can be read of a server while it runs, as the rest of the control plane sees it.

An engine of the lab has a metrics board in shared memory (`BoardReader`), which its threads write. An
external server is read by /proc (`OutsideBoard`): threads, without counters. None and empty mean not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class ThreadState(Protocol):
    """One thread. `counters` by COUNTER_NAMES are sums since the row was first used; empty: not known."""

    @property
    def slot(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def tid(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def state(self) -> int: ...
    @property
    def connections(self) -> int | None: ...
    @property
    def counters(self) -> tuple[int, ...]: ...


class BoardReading(Protocol):
    """One reading. `counters` and `connections` (by state) are empty if they are not known."""

    @property
    def threads(self) -> Sequence[ThreadState]: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    @property
    def connections(self) -> Mapping[str, int]: ...
    @property
    def connections_total(self) -> int | None: ...
    @property
    def queue_wait(self) -> tuple[int, ...]: ...
    @property
    def requests(self) -> int | None: ...
    @property
    def errors(self) -> int | None: ...
    @property
    def io_calls(self) -> int | None: ...
    @property
    def queue_depth(self) -> int | None: ...
    @property
    def accept_pauses(self) -> int | None: ...


class Board(Protocol):
    """Reads one server. Can be read at any time, also after the server has ended."""

    def read(self) -> BoardReading:
        """Return a whole reading."""
        ...

    def states(self) -> list[int]:
        """Return the threads' states by slot (0: no thread). Cheap enough for 50 calls per second."""
        ...

    def roles(self) -> list[str]:
        """Return the role of each slot."""
        ...

    def is_idle(self) -> bool:
        """Return whether all threads wait."""
        ...

    def flags(self) -> tuple[bool, bool]:
        """Return (out of descriptors, saturated)."""
        ...

    def close(self) -> None:
        """Release what reading needs."""
        ...
