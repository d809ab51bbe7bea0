"""Connections of the engines with bytes that are not read yet, counted at most once per second."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.fleet.engine import Engine

INTERVAL_NS = 1_000_000_000  # a count takes 3 ms of CPU
CONNECTIONS_MAX = 2000  # beyond, a count would hold the event loop for more than 10 ms


@dataclass
class UnreadCounts:
    """The last count of each engine, by its id. Event loop only."""

    _counts: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def of(self, engine: Engine, connections: int, now_ns: int) -> int | None:
        """Return the count of an engine, not older than a second; None if it is unknown.

        connections: those that the engine has open; too many are not counted.
        """
        if connections > CONNECTIONS_MAX:
            return None
        at_ns, count = self._counts.get(engine.id, (now_ns - INTERVAL_NS, None))
        if now_ns - at_ns < INTERVAL_NS:
            return count
        self._counts[engine.id] = now_ns, engine.count_unread()
        return self._counts[engine.id][1]

    def forget(self, id: str) -> None:
        """Drop the count of an engine that is gone."""
        self._counts.pop(id, None)
