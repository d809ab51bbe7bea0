"""The form of a tuning: from form fields to a request, and problems by the field that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Invalid, shown
from app.lab import Lab
from app.pages.field_lengths import check_lengths
from app.plans.text import parse_work
from app.schemas.model import KnobView
from app.statistics.decision import QUICK_ROUNDS
from app.tunings.request import TuningRequest
from app.tunings.values import parse_values

INTEGER_FIELDS = ("vus", "rounds")
PLAN_FIELDS = ("work", "vus", "duration_s", "warmup_s")
FIELDS = frozenset((*PLAN_FIELDS, "model", "knob", "values", "knobs", "objective", "rounds", "label"))
INITIAL = {"model": "reactor-pool", "objective": "p(99)<50ms", "rounds": str(QUICK_ROUNDS)}


@dataclass(frozen=True, slots=True)
class TuningForm:
    """The values of the form and its problems by field name.

    `targets`: names and titles, in groups. `knobs`: of the chosen target.
    """

    values: Mapping[str, str]
    targets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    knobs: tuple[KnobView, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


def form_of(
    lab: Lab, values: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> TuningForm:
    """Return the form as it was sent, or its initial state. Blocks for some milliseconds."""
    models = [each for each in lab.models.views.values() if each.available]
    servers = [each for each in lab.servers.views() if each.available]
    targets = (
        ("Models", tuple((each.name, each.title) for each in models)),
        ("External servers", tuple((each.name, each.title) for each in servers)),
    )
    knobs = {each.name: each.knobs for each in models} | {each.name: each.knobs for each in servers}
    given = {**INITIAL, **(values or {})}
    return TuningForm(
        given,
        tuple(group for group in targets if group[1]),
        knobs.get(given["model"], ()),
        problems or {},
    )


def tuning_request(form: Mapping[str, str]) -> TuningRequest:
    """Return the form as a request. Raises Invalid for a field that cannot be parsed."""
    check_lengths(form, PLAN_FIELDS)
    plan: dict[str, Any] = {}
    for name in PLAN_FIELDS:
        if text := form.get(name, "").strip():
            plan[name] = parse_work(text) if name == "work" else _number(f"/plan/{name}", text)
    values = form.get("values", "").strip()
    listed, low, high = parse_values(values) if values else ((), None, None)
    return TuningRequest(
        model=form.get("model", ""),
        knob=form.get("knob", "").strip(),
        objective=form.get("objective", "").strip(),
        values=listed,
        low=low,
        high=high,
        knobs=_knobs(form.get("knobs", "")),
        plan=plan,
        rounds=int(_number("/rounds", form.get("rounds", "") or str(QUICK_ROUNDS))),
        label=form.get("label", "").strip() or None,
    )


def problems(error: Invalid | None, detail: str) -> dict[str, str]:
    """Return the problems by field name; the key is empty for a problem without a field."""
    found: dict[str, str] = {}
    for each in error.problems if error else ():
        parts = each.pointer.strip("/").split("/")
        name = parts[1] if parts[0] == "plan" and len(parts) > 1 else parts[0]
        name = "values" if name in ("from", "to") else name
        found.setdefault(name if name in FIELDS else "", each.detail)
    return found or {"": detail}


def _knobs(text: str) -> dict[str, str]:
    """Return the knobs of a text such as `workers=8, reply=reactor`; commas or spaces separate them."""
    parts = (part.partition("=") for part in text.replace(",", " ").split())
    return {name: value for name, _, value in parts}


def _number(pointer: str, text: str) -> float:
    is_integer = pointer.rpartition("/")[2] in INTEGER_FIELDS
    try:
        return int(text.replace(",", "")) if is_integer else float(text.replace(",", ""))
    except ValueError:
        raise Invalid.field(
            pointer, f"Must be {'a whole number' if is_integer else 'a number'}, not {shown(text)}."
        ) from None
