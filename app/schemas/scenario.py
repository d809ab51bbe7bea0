"""A scenario: a named plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ScenarioView:
    name: str
    title: str
    watch: str
    plan: dict[str, Any]
    figure: str  # the one that matters: app/results/figures.py
    knobs: dict[str, int | str] = field(default_factory=dict)
