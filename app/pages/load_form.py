"""The load form: what stands in it, what of it the lab is given, and each problem beside its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Invalid, LabError, NotNow, TooShortIdle, Unknown, shown
from app.lab import Lab
from app.load.protocol.plan import EXECUTORS, Plan
from app.pages.fields import check_lengths
from app.pages.forms import CONCURRENT, FRESH, number_of, targets
from app.plans.fields import BY_NAME, FIELDS, FieldKind, PlanField
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_stages, parse_work, plan_fields
from app.runs.request import RunRequest
from app.schemas.run import RunView, Successor

_READ = {FieldKind.WORK: parse_work, FieldKind.STAGES: parse_stages}
PLAN = frozenset(BY_NAME)
OTHERS = ("engine", "then", "thresholds", "label")  # that are not of the plan
FIELD_NAMES = PLAN | frozenset(OTHERS)
# Fields that only some executors have: the page hides the others, and a hidden field is not sent.
APPLIES: Mapping[str, tuple[str, ...]] = {
    each.name: tuple(sorted(each.executors)) for each in FIELDS if each.executors != frozenset(EXECUTORS)
}


@dataclass(frozen=True, slots=True)
class LoadForm:
    """What stands in its fields, and what is wrong with them; `again` is the run whose plan it was filled from."""

    values: Mapping[str, str]
    targets: list[tuple[str, str]]
    problems: Mapping[str, str] = field(default_factory=dict)
    again: RunView | None = None
    restart: TooShortIdle | None = None  # what a restart of the chosen engine would mend
    applies: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: APPLIES)
    fields: Sequence[PlanField] = FIELDS  # in the order of the form

    @property
    def more(self) -> bool:
        """Whether something that is folded away is wrong, or is not as it is by default."""
        return any(
            name in self.problems or self.values.get(name, "") not in ("", _DEFAULT.get(name, ""))
            for name in FOLDED
        )


FOLDED = (*(each.name for each in FIELDS if each.is_advanced), "then", "thresholds", "label")
_DEFAULT = plan_fields(Plan().to_json())


def empty(lab: Lab) -> LoadForm:
    """As a new visitor finds it: the first scenario, on the newest engine."""
    first = next(iter(SCENARIOS.values()))
    choices = targets(lab)
    values = {**plan_fields(first.plan), "scenario": first.name, "engine": choices[0][0] if choices else ""}
    return LoadForm(values, choices)


def again(lab: Lab, run: RunView) -> LoadForm:
    """As a run was: its plan, thresholds and label, on its engine if that still runs, else on a fresh one."""
    choices = targets(lab)
    known = {value for value, _ in choices}
    target = run.engine if run.engine in known else FRESH + run.model
    plan = Plan.from_json(run.plan)
    named = SCENARIOS.get(run.scenario or "")
    same = named is not None and Plan.from_json(named.plan) == replace(plan, trace=False)
    values = {
        **plan_fields(run.plan),
        "scenario": run.scenario if same and run.scenario else "",
        "engine": target or "",
        "then": ", ".join(each.model for each in run.then),
        "thresholds": "\n".join(each.text for each in run.thresholds),
        "label": label_of(run) or "",
        "again": str(run.id),
    }
    return LoadForm(values, choices, again=run)


def label_of(run: RunView) -> str | None:
    """What a person has called it, for the next one: no other run is to bear the label that a trial was given."""
    given = f"comparison {run.comparison}: "
    return None if run.comparison and (run.label or "").startswith(given) else run.label


def refused(lab: Lab, form: Mapping[str, str], error: LabError) -> LoadForm:
    """As it was sent, with what is wrong: beside its field, above them all, or beside the button that mends it."""
    if isinstance(error, TooShortIdle):
        return LoadForm(form, targets(lab), {}, _run(lab, form), error)
    found = problems(error if isinstance(error, Invalid) else None, error.detail)
    return LoadForm(form, targets(lab), found, _run(lab, form))


async def submit(lab: Lab, form: Mapping[str, str]) -> RunView:
    """Queue what the form asks for; of several runs at once, the first. Raises LabError."""
    check_lengths(form, PLAN)
    if form.get("restart"):
        form = await _restarted(lab, form)
    request = run_request(form, lab)
    if not form.get("engine", "").startswith(CONCURRENT):
        return await lab.runs.submit(request)
    ids = form["engine"].removeprefix(CONCURRENT).split(",")
    return (await lab.runs.submit_concurrent(ids, replace(request, knobs={}, then=())))[0]


async def _restarted(lab: Lab, form: Mapping[str, str]) -> dict[str, str]:
    """Start the chosen engine anew, on the same port, with a longer keep-alive.

    Raises LabError, and has changed nothing then: the load must be one that only the keep-alive stands in the way of.
    """
    before = lab.fleet.engine(form.get("engine", ""))
    try:
        lab.runs.validator.validate(run_request(form, lab))
    except TooShortIdle:
        pass
    else:
        return dict(form)
    if meant := [run.view.id for run in lab.runs.active.values() if run.view.engine == before.id]:
        raise NotNow(f"Run {meant[0]} is meant for {before.id} and would end with it. Stop that run first.")
    knobs = {**before.knobs, "idle_s": form["restart"]}
    lab.models.parse_knobs(
        before.model.name, knobs
    )  # or a wrong one would only be seen when the old engine is gone
    await lab.fleet.stop(before.id)
    view = await lab.fleet.start(before.model.name, knobs, before.port or 0, before.cpus)
    return {**form, "engine": view.id}


def run_request(form: Mapping[str, str], lab: Lab | None = None) -> RunRequest:
    """Return the form as a request; raises Invalid for a field that cannot be read."""
    target = form.get("engine", "")
    fresh = target.startswith(FRESH)
    model = target.removeprefix(FRESH) if fresh else None
    scenario = form.get("scenario") or None
    before = _run(lab, form) if lab else None
    return RunRequest(
        engine=None if fresh else target,
        model=model,
        knobs=before.knobs if before and before.model == model else {},
        then=_then(form.get("then", ""), before.then if before else ()),
        scenario=scenario,
        plan=plan({name: form[name] for name in ("trace",) if name in form} if scenario else form),
        thresholds=[line.strip() for line in form.get("thresholds", "").splitlines() if line.strip()],
        label=form.get("label", "").strip() or None,
    )


def _then(typed: str, before: Sequence[Successor]) -> list[dict[str, Any]]:
    """The models that are to take over; one that did so in the run before has its knobs again."""
    models = [each.strip() for each in typed.split(",") if each.strip()]
    known = dict(enumerate(before))
    return [
        {"model": model, "knobs": known[i].knobs if i in known and known[i].model == model else {}}
        for i, model in enumerate(models)
    ]


def plan(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the plan that the form gives; what is empty is left out. Raises Invalid."""
    found: dict[str, Any] = {}
    for each in FIELDS:
        if text := form.get(each.name, "").strip():
            found[each.name] = _read(each, text)
    return found


def _read(each: PlanField, text: str) -> Any:
    match each.kind:
        case FieldKind.FLAG:
            return True
        case FieldKind.INTEGER | FieldKind.NUMBER:
            return _number(each, text.replace(",", "").replace(" ", ""))
        case FieldKind.WORK | FieldKind.STAGES:
            return _READ[each.kind](text)
    return text


def problems(error: Invalid | None, detail: str = "") -> dict[str, str]:
    """Problems by the name of the field in the form; what has no field stands above it."""
    found: dict[str, str] = {}
    for each in error.problems if error else ():
        parts = each.pointer.strip("/").split("/")
        name = parts[1] if parts[0] == "plan" and len(parts) > 1 else parts[0]
        found.setdefault(name if name in FIELD_NAMES else "", each.detail)
    return found or {"": detail}


def _run(lab: Lab, form: Mapping[str, str]) -> RunView | None:
    """The run that the form was filled from."""
    with suppress(Unknown):  # it may be deleted by now
        return lab.runs.get(number_of(form.get("again", "")) or 0)
    return None


def _number(each: PlanField, text: str) -> float | int:
    is_whole = each.kind == FieldKind.INTEGER
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        kind = "a whole number" if is_whole else "a number"
        raise Invalid.field(f"/plan/{each.name}", f"Must be {kind}, not {shown(text)}.") from None
