"""Entries of a comparison with unique names, and the load of its view. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import Invalid, shown
from app.fleet.launchables import Launchables
from app.plans.scenarios import SCENARIOS
from app.schemas.comparison import ComparisonEntry

LETTERS = "ABCDEFGHIJKL"
# Executors with which a view can compare, and its default scenario.
VIEWS = {
    "equal-rate": (("constant-arrival-rate", "ramping-arrival-rate"), "equal-rate"),
    "ceiling": (("constant-vus",), "sprint"),
}


def resolve_load(
    view: str | None, scenario: str | None, plan: Mapping[str, Any]
) -> tuple[str, str | None, dict[str, Any]]:
    """Return view, scenario and plan with missing ones filled in. Raises Invalid if they do not match."""
    if view is not None and view not in VIEWS:
        raise Invalid.field("/view", f"view must be one of {', '.join(VIEWS)}, not {shown(view)}.")
    named = SCENARIOS.get(scenario or "")
    executor = plan.get("executor") or (named.plan["executor"] if named else None)
    if executor is None and scenario is None:
        # With few cores, the load generator limits the throughput, and only the cost is comparable.
        view = view or "equal-rate"
        return view, VIEWS[view][1], dict(plan)
    if executor is None:  # an unknown scenario, which the validation of the plan refuses
        return view or "equal-rate", scenario, dict(plan)
    view = view or next((name for name, (known, _) in VIEWS.items() if executor in known), "ceiling")
    if executor not in VIEWS[view][0]:
        raise Invalid.field(
            "/view", f"The view {view} needs the executor {' or '.join(VIEWS[view][0])}, not {executor}."
        )
    return view, scenario, dict(plan)


def parse_entries(
    launchables: Launchables, requested: Sequence[str | Mapping[str, Any]]
) -> tuple[tuple[ComparisonEntry, ...], tuple[Mapping[str, Any], ...]]:
    """Return the entries and the given knobs of each. Raises LabError for a wrong model or knob."""
    if not 1 <= len(requested) <= len(LETTERS):
        raise Invalid.field("/models", f"A comparison has 1 to {len(LETTERS)} entries.")
    pairs = [_parse_entry(launchables, i, each) for i, each in enumerate(requested)]
    names = [_name(launchables, model, knobs) for model, knobs in pairs]
    duplicates = {name for name, n in Counter(names).items() if n > 1}
    seen: Counter[str] = Counter()
    entries = []
    for letter, name, (model, knobs) in zip(LETTERS, names, pairs, strict=False):
        seen[name] += 1
        entries.append(
            ComparisonEntry(
                letter, f"{name} ({seen[name]})" if name in duplicates else name, model, dict(knobs)
            )
        )
    return tuple(entries), tuple(knobs for _, knobs in pairs)


def _parse_entry(
    launchables: Launchables, index: int, entry: str | Mapping[str, Any]
) -> tuple[str, dict[str, int | str]]:
    model, given = (entry, {}) if isinstance(entry, str) else (str(entry["model"]), entry.get("knobs") or {})
    if model not in launchables.names:
        raise Invalid.field(
            f"/models/{index}",
            f"There is no model {shown(model)}; models and servers: {', '.join(launchables.names)}.",
        )
    try:
        parsed = launchables.parse_knobs(model, given)
    except Invalid as error:
        raise error.under(f"/models/{index}") from None
    launchables.require_available(model)
    return model, {name: parsed[name] for name in given}


def _name(launchables: Launchables, model: str, knobs: Mapping[str, int | str]) -> str:
    return ", ".join((launchables.title(model), *(f"{name} {value}" for name, value in knobs.items())))
