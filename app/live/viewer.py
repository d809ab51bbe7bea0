"""A viewer: what one page has asked for, and what waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from app.live.frame import Frame

EVENTS_MAX = 256
INTERVAL_MIN_MS, INTERVAL_MAX_MS = 100, 5000
PARTS = ("threads", "trace", "connections")


@dataclass(eq=False)
class Viewer:
    """What one page has asked for, and what waits for it."""

    address: str = ""
    watched: frozenset[str] | None = frozenset()  # engines of which it wants more than numbers; None: of all
    wants: frozenset[str] = frozenset()  # of PARTS
    interval_ms: int = INTERVAL_MIN_MS
    paused: bool = False
    behind: bool = False  # it missed an event: its connection is closed
    skipped: int = 0
    events: deque[str] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    frame: Frame | None = None
    due_s: float = 0.0
    grids: dict[str, int] = field(default_factory=dict)  # the step that it has seen of each engine's grid

    def obey(self, message: Any) -> None:
        """A message of the client; raises ValueError in words if it is not one."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "pause" or kind == "resume":
            self.paused = kind == "pause"
        elif kind == "subscribe":
            self._subscribe(message)
        else:
            raise ValueError("type is one of subscribe, pause, resume")

    def _subscribe(self, message: dict[str, Any]) -> None:
        engines, interval = message.get("engines", "all"), message.get("interval_ms", INTERVAL_MIN_MS)
        if engines != "all" and not (
            isinstance(engines, list) and all(isinstance(each, str) for each in engines)
        ):
            raise ValueError('engines is "all" or a list of engine ids')
        if not isinstance(interval, int | float) or not INTERVAL_MIN_MS <= interval <= INTERVAL_MAX_MS:
            raise ValueError(f"interval_ms is from {INTERVAL_MIN_MS} to {INTERVAL_MAX_MS}")
        for part in PARTS:
            if not isinstance(message.get(part, False), bool):
                raise ValueError(f"{part} is true or false")
        self.interval_ms = int(interval)
        self.wants = frozenset(part for part in PARTS if message.get(part))
        self.watched = None if engines == "all" else frozenset(engines)
        self.grids.clear()  # a page that subscribes anew begins with the whole grid

    def sees(self, engine: str, part: str) -> bool:
        """Whether it wants this part of that engine."""
        return part in self.wants and (self.watched is None or engine in self.watched)

    def is_due(self, now_s: float) -> bool:
        return not self.paused and now_s >= self.due_s

    def offer(self, frame: Frame, now_s: float) -> None:
        """The newest frame wins; one that was not taken is counted as skipped."""
        self.due_s = now_s + self.interval_ms / 1000 - 0.02  # a frame that comes a little early still counts
        self.skipped += self.frame is not None
        self.frame = frame
        self.wake.set()

    def take(self) -> str | None:
        """The frame that waits, as text, with what this viewer wants."""
        frame, self.frame = self.frame, None
        if frame is None:
            return None
        skipped, self.skipped = self.skipped, 0
        text = frame.text(self.watched, self.wants, self.grids, skipped)
        if "connections" in self.wants:
            seen = {id: part.grid.number for id, part in frame.parts.items() if part.grid}
            self.grids = {id: number for id, number in seen.items() if self.sees(id, "connections")}
        return text

    def tell(self, text: str) -> None:
        if len(self.events) >= EVENTS_MAX:
            self.behind = True
        else:
            self.events.append(text)
        self.wake.set()
