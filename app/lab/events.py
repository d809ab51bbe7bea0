"""What has changed, told to whoever listens; never conflated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed. `text` is one sentence."""

    name: str  # engine.ready, run.finished, …
    engine: str | None
    model: str | None
    run: int | None
    text: str
    comparison: int | None = None


class Events:
    """Where events are told. Event loop only."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` for each event from now on."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)
