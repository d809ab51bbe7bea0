"""Parts that several pages share: cards of models, typed knobs, targets of a run."""

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

CONCURRENT_PREFIX = "engines:"  # prefix of a target of several engines, loaded in parallel
NEW_PREFIX = "model:"  # prefix of a target that is a model: an engine is started for the run


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a model."""

    model: ModelView
    engine: EngineView | None  # the newest
    others: tuple[EngineView, ...]  # its other running engines
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
    """Return the card of a model in its current state. Raises Unknown.

    `watched`: the id of the engine in the live view. `typed`, `error`: the knobs and the reason of a rejected
    start.
    """
    view = lab.models.get(model)
    engines = [engine.view() for engine in lab.fleet.engines.values() if engine.model.name == model]
    alive = [engine for engine in engines if engine.exit is None]
    ended = (e for e in reversed(engines) if e.state in (EngineState.FAILED, EngineState.EXITED))
    newest = alive[-1] if alive else next(ended, None)
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
    """Return the knobs of a card's form by name, as typed."""
    return {
        name.removeprefix("knob_"): value.strip() for name, value in form.items() if name.startswith("knob_")
    }


def parse_run_id(text: str) -> int | None:
    """Return the id of a run; None if the text is not one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) else None


def targets(lab: Lab) -> list[tuple[str, str]]:
    """Return value and label of each target: running engines, newest first, all in parallel, new engines."""
    ready = [e.view() for e in reversed(lab.fleet.engines.values()) if e.state.is_serving]
    ids = [e.id for e in reversed(ready)][:CONCURRENT_MAX]
    in_parallel = (
        [(CONCURRENT_PREFIX + ",".join(ids), f"All {len(ids)} running engines in parallel (live view only)")]
        if len(ids) > 1
        else []
    )
    new = [(NEW_PREFIX + m.name, f"New {m.title} engine") for m in lab.models.views.values() if m.available]
    return [(e.id, f"{e.id} (running on :{e.port})") for e in ready] + in_parallel + new
