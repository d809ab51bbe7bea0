"""One frame, as text in parts: what several viewers want is written once, however many they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.live.grid import Step


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@dataclass(slots=True)
class Part:
    """One engine in one frame: its numbers, and what was asked for beside them."""

    numbers: str
    threads: str | None = None
    samples: str | None = None
    trace: str | None = None
    grid: Step | None = None

    def text(self, wants: frozenset[str], seen: int | None) -> str:
        """As a JSON object, with those of `wants` that there are."""
        more = []
        if "threads" in wants and self.threads:
            more.append(f',"threads":{self.threads},"samples":{self.samples}')
        if "trace" in wants:
            more.append(f',"trace":{self.trace or "null"}')
        if "connections" in wants and self.grid:
            more.append(f',"grid":{self.grid.text(seen)}')
        return f"{self.numbers[:-1]}{''.join(more)}}}"


NOTHING: frozenset[str] = frozenset()


@dataclass
class Frame:
    """The same for all viewers; each gets the parts that it has subscribed to."""

    seq: int
    t_s: float
    parts: dict[str, Part]
    run: str
    _texts: dict[Any, str] = field(default_factory=dict)

    def text(
        self, watched: frozenset[str] | None, wants: frozenset[str], seen: Mapping[str, int], skipped: int
    ) -> str:
        """For a viewer that `wants` this of the engines it has `watched` (None: of all), and has `seen` these steps
        of their grids."""
        grids = "connections" in wants
        known = tuple(
            part.grid is not None and seen.get(id) == part.grid.number - 1 if grids else False
            for id, part in self.parts.items()
        )
        key = watched, wants, known, skipped
        if key not in self._texts:
            engines = ",".join(
                f"{compact(id)}:{part.text(wants if watched is None or id in watched else NOTHING, seen.get(id))}"
                for id, part in self.parts.items()
            )
            self._texts[key] = (
                f'{{"type":"frame","seq":{self.seq},"t_s":{self.t_s},"skipped":{skipped},'
                f'"engines":{{{engines}}},"run":{self.run}}}'
            )
        return self._texts[key]
