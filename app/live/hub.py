"""The hub: builds each frame once, and lets every viewer have the newest at its own pace.

A viewer has one slot for a frame (newest wins) and a small bounded queue for events, which are never conflated:
one that cannot keep up with events is let go, and comes back to a fresh state.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from app.lab.events import Event
from app.lab.lab import Lab
from app.live import frames
from app.metrics import Metrics

EVENTS_MAX = 256
INTERVAL_MIN_MS, INTERVAL_MAX_MS = 100, 5000


@dataclass(eq=False)
class Viewer:
    """What one page has asked for, and what waits for it."""

    watched: frozenset[str] | None = frozenset()  # engines whose threads it wants; None: of all
    interval_ms: int = INTERVAL_MIN_MS
    paused: bool = False
    behind: bool = False  # it missed an event: its connection is closed
    skipped: int = 0
    events: deque[str] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    frame: dict[str, Any] | None = None
    due_s: float = 0.0

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
        if engines != "all" and not (isinstance(engines, list) and all(isinstance(each, str) for each in engines)):
            raise ValueError('engines is "all" or a list of engine ids')
        if not isinstance(interval, int | float) or not INTERVAL_MIN_MS <= interval <= INTERVAL_MAX_MS:
            raise ValueError(f"interval_ms is from {INTERVAL_MIN_MS} to {INTERVAL_MAX_MS}")
        self.interval_ms = int(interval)
        if not message.get("threads", False):
            self.watched = frozenset()
        else:
            self.watched = None if engines == "all" else frozenset(engines)

    def offer(self, frame: dict[str, Any], now_s: float) -> None:
        """The newest frame wins; one that was not taken is counted as skipped."""
        if self.paused or now_s < self.due_s:
            return
        self.due_s = now_s + self.interval_ms / 1000 - 0.02  # a frame that comes a little early still counts
        self.skipped += self.frame is not None
        self.frame = frame
        self.wake.set()

    def tell(self, text: str) -> None:
        if len(self.events) >= EVENTS_MAX:
            self.behind = True
        else:
            self.events.append(text)
        self.wake.set()


class Hub:
    """All viewers of one lab."""

    def __init__(self, lab: Lab, metrics: Metrics) -> None:
        self._lab = lab
        self._metrics = metrics
        self._viewers: set[Viewer] = set()
        self._seq = 0
        lab.events.listen(self._event)

    def join(self) -> Viewer:
        viewer = Viewer()
        self._viewers.add(viewer)
        self._metrics.viewers.set(len(self._viewers))
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        self._metrics.viewers.set(len(self._viewers))

    def hello(self) -> dict[str, Any]:
        return frames.hello(self._lab.settings.sample_interval_ms)

    async def run(self) -> None:
        """Build a frame each interval, while somebody looks."""
        interval_s = self._lab.settings.sample_interval_ms / 1000
        while True:
            due_s = time.monotonic() + interval_s
            await asyncio.sleep(interval_s)
            self._metrics.loop_lag.observe(time.monotonic() - due_s)
            if self._viewers:
                with self._metrics.frame_build.time():
                    self._build()

    def _build(self) -> None:
        self._seq += 1
        now_s = time.monotonic()
        frame = {
            "type": "frame", "seq": self._seq, "t_s": round(now_s, 4),
            "engines": frames.engines(self._lab), "run": frames.run(self._lab.runs.progress()),
        }  # fmt: skip
        for viewer in self._viewers:
            viewer.offer(frame, now_s)

    def render(self, viewer: Viewer) -> str | None:
        """The frame that waits for a viewer, as text, with the threads that it wants."""
        frame, viewer.frame = viewer.frame, None
        if frame is None:
            return None
        skipped, viewer.skipped = viewer.skipped, 0
        wanted = frame["engines"] if viewer.watched is None else viewer.watched & frame["engines"].keys()
        engines = {
            id: {**numbers, "threads": frames.threads(self._lab.fleet.samplers[id])}
            if id in wanted and id in self._lab.fleet.samplers
            else numbers
            for id, numbers in frame["engines"].items()
        }
        return json.dumps({**frame, "skipped": skipped, "engines": engines}, separators=(",", ":"))

    def _event(self, event: Event) -> None:
        self._seq += 1
        said = asdict(event)
        text = json.dumps({"type": "event", "seq": self._seq, "event": said.pop("name"), **said})
        for viewer in self._viewers:
            viewer.tell(text)
