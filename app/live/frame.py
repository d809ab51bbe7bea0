"""A frame as JSON text in parts, so that parts which several viewers want are encoded once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.live.grid import GridStep

NO_PARTS: frozenset[str] = frozenset()


def compact_json(value: Any) -> str:
    """Return a value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


@dataclass(slots=True)
class EngineFrame:
    """One engine in a frame: its numbers and the parts that some viewer wants, as JSON; None: no viewer."""

    numbers: str
    threads: str | None = None
    samples: str | None = None
    trace: str | None = None
    grid: GridStep | None = None
    unread: int | None = None  # connections with bytes that the engine has not read

    def text(self, parts: frozenset[str], seen_step: int | None) -> str:
        """Return a JSON object with those of `parts` that exist.

        seen_step: the step of its grid that the viewer has; None: none.
        """
        members = []
        if "threads" in parts and self.threads:
            members.append(f',"threads":{self.threads},"samples":{self.samples}')
        if "trace" in parts:
            members.append(f',"trace":{self.trace or "null"}')
        if "connections" in parts and self.grid:
            unread = compact_json(self.unread)
            members.append(f',"grid":{self.grid.text(seen_step)},"unread_connections":{unread}')
        return f"{self.numbers[:-1]}{''.join(members)}}}"


@dataclass
class Frame:
    """The state of all engines at one time, for all viewers. Event loop only.

    t_s: CLOCK_MONOTONIC. engines: by id. run: the run in progress as JSON, or `null`.
    """

    seq: int
    t_s: float
    engines: dict[str, EngineFrame]
    run: str
    _texts: dict[Any, str] = field(default_factory=dict)

    def text(
        self,
        engines: frozenset[str] | None,
        parts: frozenset[str],
        seen_steps: Mapping[str, int],
        skipped: int,
    ) -> str:
        """Return the frame as JSON for a viewer; viewers with the same arguments share the text.

        engines: ids whose parts it wants; None: all. seen_steps: the grid step that it has, by engine.
        skipped: frames that it has missed.
        """
        wants_grids = "connections" in parts
        is_next_step = tuple(
            engine.grid is not None and seen_steps.get(id) == engine.grid.number - 1 if wants_grids else False
            for id, engine in self.engines.items()
        )
        key = engines, parts, is_next_step, skipped
        if key not in self._texts:
            members = ",".join(
                f"{compact_json(id)}:"
                + engine.text(parts if engines is None or id in engines else NO_PARTS, seen_steps.get(id))
                for id, engine in self.engines.items()
            )
            self._texts[key] = (
                f'{{"type":"frame","seq":{self.seq},"t_s":{self.t_s},"skipped":{skipped},'
                f'"engines":{{{members}}},"run":{self.run}}}'
            )
        return self._texts[key]
