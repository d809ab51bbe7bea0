"""What has changed, told to whoever listens, never conflated; and the last of it, for who comes later."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.moment import now

KEPT, LINES_KEPT = 500, 200
LINE = "log.line"
_LOG = logging.getLogger("threadlab.events")
ERRORS = frozenset(("engine.exited", "engine.failed", "run.failed"))
WARNINGS = frozenset(("engine.degraded", LINE))


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed. `text` is one sentence."""

    name: str  # engine.ready, run.finished, …; log.line: what an engine has said on stderr
    engine: str | None
    model: str | None
    run: int | None
    text: str
    comparison: int | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as API and pages show it. `id` counts up from 1 since the lab began; `t_s` is the clock of frames."""

    id: int
    at: str
    t_s: float
    level: str  # info, warning, error
    event: str
    engine: str | None
    model: str | None
    run: int | None
    text: str
    comparison: int | None = None


class Events:
    """Where events are told. Event loop only."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._kept: deque[EventView] = deque(maxlen=KEPT)
        self._lines: deque[EventView] = deque(
            maxlen=LINES_KEPT
        )  # an engine that talks much drives nothing else out
        self.newest: EventView | None = None

    @property
    def last(self) -> int:
        """The number of the newest; 0 before the first."""
        return self.newest.id if self.newest else 0

    def since(self, id: int) -> list[EventView]:
        """Those that came after event number `id` and are still kept, oldest first."""
        found = [event for kept in (self._kept, self._lines) for event in kept if event.id > id]
        return sorted(found, key=lambda event: event.id)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` for each event from now on."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        """Never raises: it is called in the midst of starts and ends, which a listener's trouble must not stop."""
        self.newest = _view(self.last + 1, event)
        (self._lines if event.name == LINE else self._kept).append(self.newest)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _LOG.exception("A listener could not take %r", event)


def _view(id: int, event: Event) -> EventView:
    level = "error" if event.name in ERRORS else "warning" if event.name in WARNINGS else "info"
    return EventView(
        id,
        now(),
        round(time.monotonic(), 4),
        level,
        event.name,
        event.engine,
        event.model,
        event.run,
        event.text,
        event.comparison,
    )
