"""What has changed, told to whoever listens, never conflated; and the last of it, for who comes later."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 500
ERRORS = frozenset(("engine.exited", "engine.failed", "run.failed"))
WARNINGS = frozenset(("engine.degraded", "log.line"))


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

    @property
    def last(self) -> int:
        """The number of the newest; 0 before the first."""
        return self._kept[-1].id if self._kept else 0

    @property
    def newest(self) -> EventView:
        return self._kept[-1]

    def since(self, id: int) -> list[EventView]:
        """Those that came after event number `id` and are still kept, oldest first."""
        return [event for event in self._kept if event.id > id]

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` for each event from now on."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        self._kept.append(_view(self.last + 1, event))
        for listener in tuple(self._listeners):
            listener(event)


def _view(id: int, event: Event) -> EventView:
    level = "error" if event.name in ERRORS else "warning" if event.name in WARNINGS else "info"
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return EventView(
        id, at, round(time.monotonic(), 4), level, event.name, event.engine, event.model, event.run, event.text,
        event.comparison,
    )  # fmt: skip
