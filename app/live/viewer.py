"""A viewer: the subscription of one page, and the frame and events that wait to be sent to it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from app.live.frame import Frame

EVENTS_MAX = 256
INTERVAL_MIN_MS, INTERVAL_MAX_MS = 100, 5000
EARLY_S = 0.02  # a frame may come so much earlier than the interval
PARTS = ("threads", "trace", "connections")


@dataclass(eq=False)
class Viewer:
    """One page. Event loop only.

    engines: ids of the engines whose `parts` it wants; None: all. parts: some of PARTS.
    is_behind: it has missed an event, so its connection is closed. skipped: frames that were replaced unsent.
    job: the newest message about the job in progress, as JSON, until it is sent.
    wake: set when there is something to send. seen_steps: the grid step that it has, by engine.
    """

    address: str = ""
    engines: frozenset[str] | None = frozenset()
    parts: frozenset[str] = frozenset()
    interval_ms: int = INTERVAL_MIN_MS
    paused: bool = False
    is_behind: bool = False
    skipped: int = 0
    events: deque[str] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    frame: Frame | None = None
    job: str | None = None
    due_s: float = 0.0
    seen_steps: dict[str, int] = field(default_factory=dict)

    def handle_message(self, message: Any) -> None:
        """Handle a decoded JSON message of the page. Raises ValueError, in words, if it is invalid."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "pause" or kind == "resume":
            self.paused = kind == "pause"
        elif kind == "subscribe":
            self._subscribe(message)
        else:
            raise ValueError("type must be subscribe, pause or resume")

    def _subscribe(self, message: dict[str, Any]) -> None:
        engines, interval = message.get("engines", "all"), message.get("interval_ms", INTERVAL_MIN_MS)
        if engines != "all" and not (
            isinstance(engines, list) and all(isinstance(id, str) for id in engines)
        ):
            raise ValueError('engines must be "all" or a list of engine ids')
        if not isinstance(interval, int | float) or not INTERVAL_MIN_MS <= interval <= INTERVAL_MAX_MS:
            raise ValueError(f"interval_ms must be from {INTERVAL_MIN_MS} to {INTERVAL_MAX_MS}")
        for part in PARTS:
            if not isinstance(message.get(part, False), bool):
                raise ValueError(f"{part} must be true or false")
        self.interval_ms = int(interval)
        self.parts = frozenset(part for part in PARTS if message.get(part))
        self.engines = None if engines == "all" else frozenset(engines)
        self.seen_steps.clear()  # a page that subscribes again starts with the full grid

    def wants(self, engine: str, part: str) -> bool:
        """Return whether it has subscribed to this part of this engine."""
        return part in self.parts and (self.engines is None or engine in self.engines)

    def is_due(self, now_s: float) -> bool:
        """Return whether it gets a frame now. `now_s`: CLOCK_MONOTONIC."""
        return not self.paused and now_s >= self.due_s

    def offer(self, frame: Frame, now_s: float) -> None:
        """Make this the next frame to send. A frame that was not sent yet is replaced and counted."""
        self.due_s = now_s + self.interval_ms / 1000 - EARLY_S
        self.skipped += self.frame is not None
        self.frame = frame
        self.wake.set()

    def offer_job(self, text: str) -> None:
        """Make this the next message about the job in progress."""
        self.job = text
        self.wake.set()

    def take_job(self) -> str | None:
        """Remove and return the message about the job in progress; None if there is none to send."""
        text, self.job = self.job, None
        return text

    def take_frame(self) -> str | None:
        """Remove and return the next frame as JSON with the subscribed parts; None if there is none."""
        frame, self.frame = self.frame, None
        if frame is None:
            return None
        skipped, self.skipped = self.skipped, 0
        text = frame.text(self.engines, self.parts, self.seen_steps, skipped)
        if "connections" in self.parts:
            steps = {id: engine.grid.number for id, engine in frame.engines.items() if engine.grid}
            self.seen_steps = {id: step for id, step in steps.items() if self.wants(id, "connections")}
        return text

    def add_event(self, text: str) -> None:
        """Queue an event (JSON) to send. If the queue is full, the viewer is behind."""
        if len(self.events) >= EVENTS_MAX:
            self.is_behind = True
        else:
            self.events.append(text)
        self.wake.set()
