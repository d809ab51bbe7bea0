"""The form of a comparison: from what was ticked and typed to what the lab takes, with each problem at its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.comparisons.comparisons import ComparisonRequest
from app.comparisons.entries import VIEWS
from app.errors import Invalid, shown
from app.lab import Lab
from app.pages.fields import check_lengths
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_work
from app.schemas.scenario import ScenarioView

MORE = 3  # lines for a model once more, with other knobs
TRIALS = "3"
WHOLE = ("vus", "trials")
FIELDS = ("rate_per_s", "vus", "work", "duration_s", "warmup_s")
PLAIN = frozenset((*FIELDS, "view", "scenario", "trials", "thresholds", "label"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the form: a model that may be ticked, or (name empty) one that may be chosen."""

    key: str  # of its fields: tick_reactor, knobs_reactor; more_1, knobs_more_1
    model: str
    title: str
    why_not: str | None


@dataclass(frozen=True, slots=True)
class CompareForm:
    """What stands in the form, and what is wrong with it."""

    values: Mapping[str, str]
    lines: tuple[Line, ...]
    more: tuple[str, ...]
    models: tuple[tuple[str, str], ...]
    scenarios: tuple[tuple[str, tuple[ScenarioView, ...]], ...]  # those that fit each view
    problems: Mapping[str, str] = field(default_factory=dict)


def form_of(
    lab: Lab, values: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> CompareForm:
    """The form as it was sent; or as a new visitor finds it, with every model that can run ticked."""
    views = list(lab.models.views.values())
    first = {"view": "equal-rate", "trials": TRIALS} | {f"tick_{m.name}": "on" for m in views if m.available}
    lines = tuple(Line(m.name, m.name, m.title, m.unavailable_reason) for m in views)
    choices = (("", "none"), *((m.name, m.title) for m in views if m.available))
    fitting = tuple(
        (view, tuple(each for each in SCENARIOS.values() if each.plan["executor"] in executors))
        for view, (executors, _) in VIEWS.items()
    )
    more = tuple(f"more_{i}" for i in range(1, MORE + 1))
    return CompareForm(
        first if values is None else values, lines, more, (("", "none"), *choices), fitting, problems or {}
    )


def comparison_request(form: Mapping[str, str], lines: CompareForm) -> ComparisonRequest:
    """Return the form as a request; raises Invalid for a field that cannot be read."""
    check_lengths(form, FIELDS)
    plan: dict[str, Any] = {}
    for name in FIELDS:
        if text := form.get(name, "").strip():
            plan[name] = parse_work(text) if name == "work" else _number(f"/plan/{name}", text)
    entries = asked(form, lines)
    return ComparisonRequest(
        models=[{"model": model, "knobs": _knobs(form.get(f"knobs_{key}", ""))} for key, model in entries],
        view=form.get("view") or None,
        scenario=form.get("scenario") or None,
        plan=plan,
        trials=int(_number("/trials", form.get("trials", "") or "1")),
        thresholds=[line.strip() for line in form.get("thresholds", "").splitlines() if line.strip()],
        label=form.get("label", "").strip() or None,
    )


def asked(form: Mapping[str, str], lines: CompareForm) -> list[tuple[str, str]]:
    """Key and model of each line that takes part, in the order of the page."""
    ticked = [(line.key, line.model) for line in lines.lines if form.get(f"tick_{line.key}")]
    return ticked + [(key, model) for key in lines.more if (model := form.get(key, ""))]


def problems(
    error: Invalid | None, detail: str, form: Mapping[str, str], lines: CompareForm
) -> dict[str, str]:
    """Problems by the name of the field that they stand at; what has no field stands above the form."""
    keys = [key for key, _ in asked(form, lines)]
    found: dict[str, str] = {}
    for each in error.problems if error else ():
        parts = each.pointer.strip("/").split("/")
        name = parts[1] if parts[0] == "plan" and len(parts) > 1 else parts[0]
        if parts[0] == "models" and len(parts) > 1 and int(parts[1]) < len(keys):
            name = f"knobs_{keys[int(parts[1])]}"
        found.setdefault(name if name in PLAIN or name.startswith("knobs_") else "", each.detail)
    return found or {"": detail}


def _knobs(text: str) -> dict[str, str]:
    """`workers=8, reply=reactor`: separated by commas or blanks."""
    return {
        name: value for name, _, value in (part.partition("=") for part in text.replace(",", " ").split())
    }


def _number(pointer: str, text: str) -> float:
    whole = pointer.rpartition("/")[2] in WHOLE
    try:
        return int(text.replace(",", "")) if whole else float(text.replace(",", ""))
    except ValueError:
        raise Invalid.field(
            pointer, f"Must be {'a whole number' if whole else 'a number'}, not {shown(text)}."
        ) from None
