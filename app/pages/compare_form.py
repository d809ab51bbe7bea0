"""The form of a comparison: from form fields to a request, and problems by the field that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.entries import VIEWS
from app.errors import Invalid, shown
from app.lab import Lab
from app.pages.field_lengths import check_lengths
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_work
from app.schemas.model import ModelView
from app.schemas.scenario import ScenarioView
from app.schemas.server import ServerView
from app.statistics.decision import ROUNDS

VARIANTS = 3  # lines for a variant of a model with other knobs
INTEGER_FIELDS = ("vus", "rounds")
PLAN_FIELDS = ("rate_per_s", "vus", "work", "duration_s", "warmup_s")
SIMPLE_FIELDS = frozenset((*PLAN_FIELDS, "view", "scenario", "rounds", "thresholds", "label"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the form: a model with its checkbox."""

    key: str  # suffix of its field names: tick_reactor, knobs_reactor
    model: str
    title: str
    why_not: str | None  # the reason if the model is not available
    like: str | None = None  # of an external server: the model that it has


@dataclass(frozen=True, slots=True)
class CompareForm:
    """The values of the form and its problems by field name."""

    values: Mapping[str, str]
    lines: tuple[Line, ...]
    more: tuple[str, ...]  # field names of the variants: more_1, knobs_more_1
    models: tuple[tuple[str, str], ...]
    scenarios: tuple[tuple[str, tuple[ScenarioView, ...]], ...]  # by the view that they are valid for
    problems: Mapping[str, str] = field(default_factory=dict)


def form_of(
    lab: Lab, values: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> CompareForm:
    """Return the form as it was sent, or its initial state with every available model selected."""
    models, servers = list(lab.models.views.values()), lab.servers.views()
    views: list[ModelView | ServerView] = [*models, *(each for each in servers if each.available)]
    ticked = {f"tick_{m.name}": "on" for m in models if m.available}
    initial = {"view": "equal-rate", "rounds": str(ROUNDS)} | ticked
    lines = tuple(
        Line(m.name, m.name, m.title, m.unavailable_reason, m.model if isinstance(m, ServerView) else None)
        for m in views
    )
    choices = (("", "none"), *((m.name, m.title) for m in views if m.available))
    by_view = tuple(
        (view, tuple(each for each in SCENARIOS.values() if each.plan["executor"] in executors))
        for view, (executors, _) in VIEWS.items()
    )
    more = tuple(f"more_{i}" for i in range(1, VARIANTS + 1))
    return CompareForm(
        initial if values is None else values, lines, more, (("", "none"), *choices), by_view, problems or {}
    )


def comparison_request(form: Mapping[str, str], lines: CompareForm) -> ComparisonRequest:
    """Return the form as a request; raise Invalid for a field that cannot be parsed."""
    check_lengths(form, PLAN_FIELDS)
    plan: dict[str, Any] = {}
    for name in PLAN_FIELDS:
        if text := form.get(name, "").strip():
            plan[name] = parse_work(text) if name == "work" else _number(f"/plan/{name}", text)
    entries = selected_entries(form, lines)
    return ComparisonRequest(
        models=[{"model": model, "knobs": _knobs(form.get(f"knobs_{key}", ""))} for key, model in entries],
        view=form.get("view") or None,
        scenario=form.get("scenario") or None,
        plan=plan,
        rounds=int(_number("/rounds", form.get("rounds", "") or str(ROUNDS))),
        thresholds=[line.strip() for line in form.get("thresholds", "").splitlines() if line.strip()],
        label=form.get("label", "").strip() or None,
    )


def selected_entries(form: Mapping[str, str], lines: CompareForm) -> list[tuple[str, str]]:
    """Return the key and the model of each selected line, in the order of the page."""
    ticked = [(line.key, line.model) for line in lines.lines if form.get(f"tick_{line.key}")]
    return ticked + [(key, model) for key in lines.more if (model := form.get(key, ""))]


def problems(
    error: Invalid | None, detail: str, form: Mapping[str, str], lines: CompareForm
) -> dict[str, str]:
    """Return the problems by field name; the key is empty for a problem without a field."""
    keys = [key for key, _ in selected_entries(form, lines)]
    found: dict[str, str] = {}
    for each in error.problems if error else ():
        parts = each.pointer.strip("/").split("/")
        name = parts[1] if parts[0] == "plan" and len(parts) > 1 else parts[0]
        if parts[0] == "models" and len(parts) > 1 and int(parts[1]) < len(keys):
            name = f"knobs_{keys[int(parts[1])]}"
        found.setdefault(name if name in SIMPLE_FIELDS or name.startswith("knobs_") else "", each.detail)
    return found or {"": detail}


def _knobs(text: str) -> dict[str, str]:
    """Return the knobs of a text such as `workers=8, reply=reactor`; commas or spaces separate them."""
    return {
        name: value for name, _, value in (part.partition("=") for part in text.replace(",", " ").split())
    }


def _number(pointer: str, text: str) -> float:
    is_integer = pointer.rpartition("/")[2] in INTEGER_FIELDS
    try:
        return int(text.replace(",", "")) if is_integer else float(text.replace(",", ""))
    except ValueError:
        raise Invalid.field(
            pointer, f"Must be {'a whole number' if is_integer else 'a number'}, not {shown(text)}."
        ) from None
