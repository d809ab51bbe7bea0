"""What forms share: the cards of models, what a run may be against, and how a person writes work and stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Invalid
from app.lab import Lab
from app.runs.queue import ID_MAX
from app.runs.runs import CONCURRENT_MAX
from app.schemas.engine import EngineView
from app.schemas.model import ModelView
from app.schemas.states import EngineState

CONCURRENT = "engines:"  # a target that is several engines, loaded at once
FRESH = "model:"  # a target that is a model: an engine is started for the run


@dataclass(frozen=True, slots=True)
class Card:
    """What a model's card shows."""

    model: ModelView
    engine: EngineView | None
    others: tuple[EngineView, ...]
    state: str
    knobs: Mapping[str, Any]
    problems: Mapping[str, str] = field(default_factory=dict)
    watched: bool = False


def card(
    lab: Lab,
    model: str,
    watched: str | None,
    typed: Mapping[str, str] | None = None,
    error: Invalid | None = None,
) -> Card:
    """The card of a model as it is now; `typed` knobs and their problems if a start was refused."""
    view = lab.models.get(model)
    engines = [engine.view() for engine in lab.fleet.engines.values() if engine.model.name == model]
    alive = [engine for engine in engines if engine.exit is None]
    lost = (e for e in reversed(engines) if e.state in (EngineState.FAILED, EngineState.EXITED))
    newest = alive[-1] if alive else next(lost, None)
    if engines and not alive and engines[-1].state == EngineState.STOPPED:
        newest = None
    state = newest.state if newest else "stopped" if view.available else "unavailable"
    knobs: Mapping[str, Any] = typed or (
        newest.knobs if newest else {knob.name: knob.default for knob in view.knobs}
    )
    problems = {p.pointer.rpartition("/")[2]: p.detail for p in error.problems} if error else {}
    if error and not problems:
        problems = {"": error.detail}
    return Card(
        view,
        newest,
        tuple(alive[:-1]),
        state,
        knobs,
        problems,
        bool(newest and alive and newest.id == watched),
    )


def typed_knobs(form: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("knob_"): value.strip() for name, value in form.items() if name.startswith("knob_")
    }


def number_of(text: str) -> int | None:
    """The number of a run as it is written; None where it can be none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) else None


def targets(lab: Lab) -> list[tuple[str, str]]:
    """Engines that are ready, newest first, all of them at once, then a fresh one of each model."""
    ready = [e.view() for e in reversed(lab.fleet.engines.values()) if e.state.is_serving]
    ids = [e.id for e in reversed(ready)][:CONCURRENT_MAX]
    at_once = (
        [(CONCURRENT + ",".join(ids), f"All {len(ids)} running engines in parallel (live view only)")]
        if len(ids) > 1
        else []
    )
    fresh = [(FRESH + m.name, f"New {m.title} engine") for m in lab.models.views.values() if m.available]
    return [(e.id, f"{e.id} (running on :{e.port})") for e in ready] + at_once + fresh
