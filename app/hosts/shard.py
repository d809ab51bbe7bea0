"""A shard of the load generator as the control plane sees it, wherever it runs."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from app.load.protocol.meter import MeterReading
from app.load.protocol.outcome import Outcome


class Shard(Protocol):
    """One process of the load generator. Event loop of the main thread only.

    All instants are CLOCK_MONOTONIC of this machine.
    """

    @property
    def group(self) -> str | None:
        """The name of its load group; None: the main load."""
        ...

    @property
    def host(self) -> str | None:
        """The name of its host; None: this machine."""
        ...

    @property
    def cpu(self) -> int | None:
        """The CPU of its host to which it is pinned; None: to none."""
        ...

    @property
    def exited(self) -> asyncio.Future[Any]:
        """Resolves when it has ended or is lost."""
        ...

    @property
    def start_delay_ns(self) -> int:
        """How long before the common start it must be told of it, in ns."""
        ...

    @property
    def silent_s(self) -> float:
        """How long it has not updated its meter, in seconds."""
        ...

    @property
    def failure(self) -> str:
        """How it ended without an outcome; completes "The load generator …"."""
        ...

    def read(self) -> MeterReading:
        """Return the meter. A shard that has ended is done, so that the others do not wait for it."""
        ...

    def outcome(self) -> Outcome | None:
        """Return the outcome of a shard that has exited; None: there is none. Thread-safe."""
        ...

    def start_at(self, start_ns: int) -> None:
        """Start the load at this instant."""
        ...

    def stop(self) -> None:
        """End the load early; the outcome has what was measured."""
        ...

    def kill(self) -> None:
        """End it at once, without an outcome."""
        ...

    async def close(self, grace_s: float) -> None:
        """Return when it has ended. It is stopped, and killed after `grace_s` seconds."""
        ...
