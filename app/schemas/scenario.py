"""A scenario: a named plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """A named plan, with a sentence on what to watch and the figure that it is read for."""

    name: str
    title: str
    watch: str
    plan: dict[str, Any]
    figure: str  # name of the main figure: app/results/figures.py
    knobs: dict[str, int | str] = field(default_factory=dict)
