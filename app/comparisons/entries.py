"""What may be compared with what: entries with names of their own, and a load that fits the view. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import Invalid, shown
from app.fleet.models import Models
from app.plans.scenarios import SCENARIOS
from app.schemas.comparison import ComparisonEntry

LETTERS = "ABCDEFGHIJKL"
# Executors that a view can compare by, and the scenario that it takes where no load is named.
VIEWS = {
    "equal-rate": (("constant-arrival-rate", "ramping-arrival-rate"), "equal-rate"),
    "ceiling": (("constant-vus",), "sprint"),
}


def fitting(
    view: str | None, scenario: str | None, plan: Mapping[str, Any]
) -> tuple[str, str | None, dict[str, Any]]:
    """View, scenario and plan that go together, what was left out filled in. Raises Invalid where they do not."""
    if view is not None and view not in VIEWS:
        raise Invalid.field("/view", f"view is one of {', '.join(VIEWS)}, not {shown(view)}.")
    named = SCENARIOS.get(scenario or "")
    executor = plan.get("executor") or (named.plan["executor"] if named else None)
    if executor is None and scenario is None:
        view = view or "equal-rate"  # the honest one where the generator is as dear as the engine
        return view, VIEWS[view][1], dict(plan)
    if executor is None:  # there is no such scenario: who looks it up says so
        return view or "equal-rate", scenario, dict(plan)
    view = view or next((name for name, (fits, _) in VIEWS.items() if executor in fits), "ceiling")
    if executor not in VIEWS[view][0]:
        raise Invalid.field(
            "/view", f"{view} compares under {' or '.join(VIEWS[view][0])}; this load is {executor}."
        )
    return view, scenario, dict(plan)


def entries_of(
    models: Models, asked: Sequence[str | Mapping[str, Any]]
) -> tuple[tuple[ComparisonEntry, ...], tuple[Mapping[str, Any], ...]]:
    """The entries, and the knobs that were given for each; raises LabError for a model or a knob that is not."""
    if not 1 <= len(asked) <= len(LETTERS):
        raise Invalid.field(
            "/models", f"From 1 to {len(LETTERS)} entries are compared, of one model or of several."
        )
    pairs = [_pair(models, i, each) for i, each in enumerate(asked)]
    names = [_name(models, model, knobs) for model, knobs in pairs]
    twice = {name for name, n in Counter(names).items() if n > 1}
    seen: Counter[str] = Counter()
    entries = []
    for letter, name, (model, knobs) in zip(LETTERS, names, pairs, strict=False):
        seen[name] += 1
        entries.append(
            ComparisonEntry(letter, f"{name} ({seen[name]})" if name in twice else name, model, dict(knobs))
        )
    return tuple(entries), tuple(knobs for _, knobs in pairs)


def _pair(models: Models, at: int, asked: str | Mapping[str, Any]) -> tuple[str, dict[str, int | str]]:
    model, given = (asked, {}) if isinstance(asked, str) else (str(asked["model"]), asked.get("knobs") or {})
    if model not in models.views:
        raise Invalid.field(
            f"/models/{at}", f"There is no model {shown(model)}; there are {', '.join(models.views)}."
        )
    try:
        parsed = models.parse_knobs(model, given)
    except Invalid as error:
        raise error.under(f"/models/{at}") from None
    models.require_available(model)
    return model, {name: parsed[name] for name in given}


def _name(models: Models, model: str, knobs: Mapping[str, int | str]) -> str:
    return ", ".join((models.get(model).title, *(f"{name} {value}" for name, value in knobs.items())))
