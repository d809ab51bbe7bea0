"""Cards of models and of external servers: the newest engine of each, and the knobs of its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Invalid
from app.lab import Lab
from app.pages.field_lengths import KNOB_PREFIX
from app.pages.run_fields import NEW_PREFIX
from app.schemas.engine import EngineView
from app.schemas.model import ModelView
from app.schemas.server import ServerView
from app.schemas.states import EngineState


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a model, or of an external server."""

    model: ModelView | ServerView
    engine: EngineView | None  # the newest
    others: tuple[EngineView, ...]  # its other running engines
    state: str
    knobs: Mapping[str, Any]
    problems: Mapping[str, str] = field(default_factory=dict)
    is_target: bool = False

    @property
    def is_external(self) -> bool:
        """Whether it is the card of an external server."""
        return isinstance(self.model, ServerView)

    @property
    def hue(self) -> str:
        """The name of the model whose colour and shape the card has."""
        return self.model.model if isinstance(self.model, ServerView) else self.model.name

    @property
    def target(self) -> str:
        """The target of a load that this card stands for: its engine if it serves, or a new one."""
        serves = self.engine is not None and self.engine.state.is_serving
        return self.engine.id if self.engine and serves else NEW_PREFIX + self.model.name


def card(
    lab: Lab,
    model: str,
    target: str | None,
    typed: Mapping[str, str] | None = None,
    error: Invalid | None = None,
) -> Card:
    """Return the card of a model or external server in its current state. Raises Unknown.

    `target`: the target of the load form. `typed`, `error`: the knobs and the reason of a rejected
    start.
    """
    view = lab.servers.view(model) if lab.launchables.is_external(model) else lab.models.get(model)
    engines = [engine.view() for engine in lab.fleet.engines.values() if engine.name == model]
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
    made = Card(view, newest, tuple(alive[:-1]), state, knobs, problems)
    targets = (made.target, *(engine.id for engine in made.others))
    return replace(made, is_target=target is not None and target in targets)


def cards_of(lab: Lab, external: bool, target: str | None) -> list[Card]:
    """Return the cards of all models, or those of all external servers."""
    names = lab.servers.definitions if external else lab.models.views
    return [card(lab, name, target) for name in names]


def typed_knobs(form: Mapping[str, str]) -> dict[str, str]:
    """Return the knobs of a card's form by name, as typed."""
    return {
        name.removeprefix(KNOB_PREFIX): value.strip()
        for name, value in form.items()
        if name.startswith(KNOB_PREFIX)
    }
