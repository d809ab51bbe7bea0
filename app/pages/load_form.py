"""The load form: its values, the request that it submits, and problems by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Invalid, LabError, NotNow, TooShortIdle, Unknown, shown
from app.lab import Lab
from app.load.protocol.plan import EXECUTORS, Plan
from app.pages.field_lengths import check_lengths
from app.pages.run_fields import CONCURRENT_PREFIX, NEW_PREFIX, parse_run_id, targets
from app.plans.fields import BY_NAME, FIELDS, FieldKind, PlanField
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_groups, parse_stages, parse_work, plan_fields
from app.runs.request import RunRequest
from app.schemas.run import RunView, Successor

_PARSERS: Mapping[FieldKind, Callable[[str], list[dict[str, Any]]]] = {
    FieldKind.WORK: parse_work,
    FieldKind.STAGES: parse_stages,
    FieldKind.GROUPS: parse_groups,
}
PLAN_FIELDS = frozenset(BY_NAME)
OTHER_FIELDS = ("engine", "then", "thresholds", "label")  # not part of the plan
FIELD_NAMES = PLAN_FIELDS | frozenset(OTHER_FIELDS)
# Fields that only some executors use. The page hides the others; a hidden field is not submitted.
APPLIES: Mapping[str, tuple[str, ...]] = {
    each.name: tuple(sorted(each.executors)) for each in FIELDS if each.executors != frozenset(EXECUTORS)
}


@dataclass(frozen=True, slots=True)
class LoadForm:
    """The values of the form and its problems by field name."""

    values: Mapping[str, str]
    targets: list[tuple[str, str]]
    problems: Mapping[str, str] = field(default_factory=dict)
    again: RunView | None = None  # the run whose plan fills the form
    restart: TooShortIdle | None = None  # set if a restart of the target engine would fix the problem
    applies: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: APPLIES)
    fields: Sequence[PlanField] = FIELDS  # in the order of the form

    @property
    def is_plan_open(self) -> bool:
        """Whether the plan is open: it is no scenario, it is a copy, or a field of it is invalid."""
        return not self.values.get("scenario") or self.again is not None or bool(set(self.problems) - {""})

    @property
    def more(self) -> bool:
        """Whether the advanced section is open: a field in it is invalid or differs from its default."""
        return any(
            name in self.problems or self.values.get(name, "") not in ("", _DEFAULT_TEXTS.get(name, ""))
            for name in ADVANCED_FIELDS
        )


ADVANCED_FIELDS = (*(each.name for each in FIELDS if each.is_advanced), "then", "thresholds", "label")
_DEFAULT_TEXTS = plan_fields(Plan().to_json())


def empty(lab: Lab, target: str | None = None) -> LoadForm:
    """Return the initial form: the first scenario on the target, or on the newest engine without one."""
    first = next(iter(SCENARIOS.values()))
    choices = targets(lab)
    known = [value for value, _ in choices]
    chosen = target if target in known else next(iter(known), "")
    values = {**plan_fields(first.plan), "scenario": first.name, "engine": chosen}
    return LoadForm(values, choices)


def again(lab: Lab, run: RunView) -> LoadForm:
    """Return the form with the plan, thresholds and label of a run.

    Its target is the engine of the run if that is still running, else a new engine of the model.
    """
    choices = targets(lab)
    known = {value for value, _ in choices}
    target = run.engine if run.engine in known else NEW_PREFIX + run.model
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
    """Return the label of a run for its copy: None for the generated label of a trial."""
    generated = (f"comparison {run.comparison}: ", f"tuning {run.tuning}: ")
    is_trial = run.comparison or run.tuning
    return None if is_trial and (run.label or "").startswith(generated) else run.label


def refused(lab: Lab, form: Mapping[str, str], error: LabError) -> LoadForm:
    """Return the form as it was sent, with its problems or with a button to restart the engine."""
    if isinstance(error, TooShortIdle):
        return LoadForm(form, targets(lab), {}, _run(lab, form), error)
    found = problems(error if isinstance(error, Invalid) else None, error.detail)
    return LoadForm(form, targets(lab), found, _run(lab, form))


async def submit(lab: Lab, form: Mapping[str, str]) -> RunView:
    """Queue the run of the form and return it; of several parallel runs, the first. Raises LabError."""
    check_lengths(form, PLAN_FIELDS)
    if form.get("restart"):
        form = await _restarted(lab, form)
    request = run_request(form, lab)
    if not form.get("engine", "").startswith(CONCURRENT_PREFIX):
        return await lab.runs.submit(request)
    ids = form["engine"].removeprefix(CONCURRENT_PREFIX).split(",")
    return (await lab.runs.submit_concurrent(ids, replace(request, knobs={}, then=())))[0]


async def _restarted(lab: Lab, form: Mapping[str, str]) -> dict[str, str]:
    """Restart the target engine on the same port with a longer keep-alive; return the form with its new id.

    Raises LabError without any change if the load is invalid for another reason than the keep-alive.
    """
    before = lab.fleet.engine(form.get("engine", ""))
    try:
        lab.runs.validator.validate(run_request(form, lab))
    except TooShortIdle:
        pass
    else:
        return dict(form)
    if pending := [run.view.id for run in lab.runs.active.values() if run.view.engine == before.id]:
        raise NotNow(f"Run {pending[0]} uses {before.id} and would fail. Stop that run first.")
    knobs = {**before.knobs, "idle_s": form["restart"]}
    # Before the stop: an invalid knob must not leave the user without an engine.
    lab.models.parse_knobs(before.name, knobs)
    await lab.fleet.stop(before.id)
    view = await lab.fleet.start(before.name, knobs, before.port or 0, before.cpus)
    return {**form, "engine": view.id}


def run_request(form: Mapping[str, str], lab: Lab | None = None) -> RunRequest:
    """Return the form as a request; raise Invalid for a field that cannot be parsed."""
    target = form.get("engine", "")
    is_new = target.startswith(NEW_PREFIX)
    model = target.removeprefix(NEW_PREFIX) if is_new else None
    scenario = form.get("scenario") or None
    before = _run(lab, form) if lab else None
    return RunRequest(
        engine=None if is_new else target,
        model=model,
        knobs=before.knobs if before and before.model == model else {},
        then=_then(form.get("then", ""), before.then if before else ()),
        scenario=scenario,
        plan=plan({name: form[name] for name in ("trace",) if name in form} if scenario else form),
        thresholds=[line.strip() for line in form.get("thresholds", "").splitlines() if line.strip()],
        label=form.get("label", "").strip() or None,
    )


def _then(typed: str, before: Sequence[Successor]) -> list[dict[str, Any]]:
    """Return the models of the hot swap; a model keeps the knobs that it had in the previous run."""
    models = [each.strip() for each in typed.split(",") if each.strip()]
    known = dict(enumerate(before))
    return [
        {"model": model, "knobs": known[i].knobs if i in known and known[i].model == model else {}}
        for i, model in enumerate(models)
    ]


def plan(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the plan that the form gives; an empty field is left out. Raises Invalid."""
    found: dict[str, Any] = {}
    for each in FIELDS:
        if text := form.get(each.name, "").strip():
            found[each.name] = _parse(each, text)
    return found


def _parse(each: PlanField, text: str) -> Any:
    match each.kind:
        case FieldKind.FLAG:
            return True
        case FieldKind.INTEGER | FieldKind.NUMBER:
            return _number(each, text.replace(",", "").replace(" ", ""))
        case FieldKind.WORK | FieldKind.STAGES | FieldKind.GROUPS:
            return _PARSERS[each.kind](text)
    return text


def problems(error: Invalid | None, detail: str = "") -> dict[str, str]:
    """Return the problems by field name; the key is empty for a problem without a field."""
    found: dict[str, str] = {}
    for each in error.problems if error else ():
        parts = each.pointer.strip("/").split("/")
        name = parts[1] if parts[0] == "plan" and len(parts) > 1 else parts[0]
        found.setdefault(name if name in FIELD_NAMES else "", each.detail)
    return found or {"": detail}


def _run(lab: Lab, form: Mapping[str, str]) -> RunView | None:
    """Return the run that filled the form; None if it was deleted."""
    with suppress(Unknown):
        return lab.runs.get(parse_run_id(form.get("again", "")) or 0)
    return None


def _number(each: PlanField, text: str) -> float | int:
    is_whole = each.kind == FieldKind.INTEGER
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        kind = "a whole number" if is_whole else "a number"
        raise Invalid.field(f"/plan/{each.name}", f"Must be {kind}, not {shown(text)}.") from None
