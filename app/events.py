"""The event log: changes of engines, runs and jobs such as comparisons, and lines of the engines' stderr.

Listeners get every event. The log keeps the last ones for viewers that connect later.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.timestamps import rfc3339_now

EVENTS_KEPT, LINES_KEPT = 500, 200
LINE = "log.line"
ERRORS = frozenset(("engine.exited", "engine.failed", "run.failed", "experiment.failed"))
WARNINGS = frozenset(("engine.degraded", "host.lost", LINE))

_logger = logging.getLogger("threadlab.events")


@dataclass(frozen=True, slots=True)
class Event:
    """A change. `text` is one sentence; `run`, `comparison`, `experiment` and `tuning` are ids.

    name: engine.ready, run.finished, …; log.line for a line of an engine's stderr.
    """

    name: str
    engine: str | None
    model: str | None
    run: int | None
    text: str
    comparison: int | None = None
    experiment: int | None = None
    tuning: int | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as API and pages show it.

    id: counts from 1 since the start of the lab. t_s: CLOCK_MONOTONIC in seconds, as in frames.
    level: info, warning or error.
    """

    id: int
    at: str
    t_s: float
    level: str
    event: str
    engine: str | None
    model: str | None
    run: int | None
    text: str
    comparison: int | None = None
    experiment: int | None = None
    tuning: int | None = None


class Events:
    """Publishes events and keeps the last ones. Event loop only."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._events: deque[EventView] = deque(maxlen=EVENTS_KEPT)
        # Kept apart, so that an engine with much output does not displace other events.
        self._lines: deque[EventView] = deque(maxlen=LINES_KEPT)
        self.newest: EventView | None = None

    @property
    def last_id(self) -> int:
        """Id of the newest event; 0 if there is none."""
        return self.newest.id if self.newest else 0

    def since(self, id: int) -> list[EventView]:
        """Return the kept events with a higher id than `id`, oldest first."""
        found = [event for kept in (self._events, self._lines) for event in kept if event.id > id]
        return sorted(found, key=lambda event: event.id)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with each future event."""
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        """Keep an event and pass it to all listeners.

        Never raises: an error of a listener must not interrupt the start or stop of an engine. It is logged.
        """
        self.newest = _view(self.last_id + 1, event)
        (self._lines if event.name == LINE else self._events).append(self.newest)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _logger.exception("A listener failed on %r", event)


def _view(id: int, event: Event) -> EventView:
    level = "error" if event.name in ERRORS else "warning" if event.name in WARNINGS else "info"
    return EventView(
        id,
        rfc3339_now(),
        round(time.monotonic(), 4),
        level,
        event.name,
        event.engine,
        event.model,
        event.run,
        event.text,
        event.comparison,
        event.experiment,
        event.tuning,
    )
