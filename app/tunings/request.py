"""Requests for tunings, and the knob, values, knobs and plan that they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import FieldProblem, Invalid, shown
from app.fleet.launchables import Launchables
from app.plans.fields import FIND_CAPACITY
from app.schemas.model import KnobView
from app.statistics.decision import QUICK_ROUNDS
from app.tunings.values import RANGE_MAX, VALUES_MAX, VALUES_MIN, grid

DURATION_S, WARMUP_S = 2.0, 0.5  # of each trial of a search, unless the plan or the scenario says otherwise


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """A requested tuning of `knob` of a model or external server.

    Its values are listed, or a grid from `low` to `high`; without any, all choices of the knob. `knobs`: the
    others. `objective`: a limit of a latency, such as "p(99)<50ms". `seed`: of the random order; None: a new
    one. The fields of `plan` override those of the scenario.
    """

    model: str
    knob: str
    objective: str
    values: Sequence[Any] = ()
    low: int | None = None
    high: int | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)
    scenario: str | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = QUICK_ROUNDS
    seed: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TunedKnob:
    """A knob with the values to measure, and the other knobs: as given, and with their defaults."""

    view: KnobView
    values: tuple[int | str, ...]
    given: dict[str, int | str]
    knobs: dict[str, int | str]

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        return self.view.minimum, self.view.maximum


def parse_knob(launchables: Launchables, request: TuningRequest) -> TunedKnob:
    """Return the knob of a request. Raises LabError for each wrong field."""
    if request.model not in launchables.names:
        raise Invalid.field(
            "/model",
            f"There is no model {shown(request.model)}; models and servers: {', '.join(launchables.names)}.",
        )
    known = {knob.name: knob for knob in _knobs(launchables, request.model)}
    if request.knob not in known:
        raise Invalid.field(
            "/knob", f"{request.model} has no knob {shown(request.knob)}; it has {', '.join(known)}."
        )
    if request.knob in request.knobs:
        raise Invalid.field(
            f"/knobs/{request.knob}", f"{request.knob} is the knob to tune, so it has no fixed value."
        )
    parsed = launchables.parse_knobs(request.model, request.knobs)
    launchables.require_available(request.model)
    knob = known[request.knob]
    values = _listed(launchables, request, _asked(knob, request))
    return TunedKnob(knob, values, {name: parsed[name] for name in request.knobs}, parsed)


def _knobs(launchables: Launchables, name: str) -> tuple[KnobView, ...]:
    if launchables.is_external(name):
        return launchables.servers.view(name).knobs
    return launchables.models.get(name).knobs


def _asked(knob: KnobView, request: TuningRequest) -> Sequence[Any]:
    """Return the values of a request, not checked yet."""
    ends = (request.low, request.high)
    if ends == (None, None):
        return request.values or knob.choices
    if request.values:
        raise Invalid.field("/values", "Give either values or a range, not both.")
    if knob.choices:
        raise Invalid.field("/values", f"{knob.name} has choices and no range: {', '.join(knob.choices)}.")
    low, high = ends
    if low is None or high is None:
        raise Invalid.field("/to" if high is None else "/from", "A range needs both ends: from and to.")
    if not -RANGE_MAX <= low < high <= RANGE_MAX:
        raise Invalid.field("/to", f"The range must go up, to {RANGE_MAX:,} at most ({low:,} to {high:,}).")
    _check_end(knob, "from", low)
    _check_end(knob, "to", high)
    return grid(low, high)


def _check_end(knob: KnobView, end: str, value: int) -> None:
    low, high = knob.minimum, knob.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        least, most = ("…" if each is None else f"{each:,}" for each in (low, high))
        raise Invalid.field(f"/{end}", f"{knob.name} must be from {least} to {most}, not {value:,}.")


def _listed(launchables: Launchables, request: TuningRequest, asked: Sequence[Any]) -> tuple[int | str, ...]:
    """Return the values, parsed, numbers in ascending order. Raises Invalid with a problem for each wrong."""
    if not VALUES_MIN <= len(asked) <= VALUES_MAX:
        raise Invalid.field(
            "/values",
            f"A tuning has {VALUES_MIN} to {VALUES_MAX} values, such as 1..32 or 1,2 (given: {len(asked)}).",
        )
    found, problems = [], []
    for i, value in enumerate(asked):
        try:
            parsed = launchables.parse_knobs(request.model, {request.knob: value})[request.knob]
        except Invalid as error:
            problems.append(FieldProblem(f"/values/{i}", error.problems[0].detail + "."))
            continue
        if parsed in found:
            problems.append(FieldProblem(f"/values/{i}", f"{shown(parsed)} is listed twice."))
        found.append(parsed)
    if problems:
        raise Invalid(" ".join(problem.detail for problem in problems), tuple(problems))
    numbers = [each for each in found if isinstance(each, int)]
    return tuple(sorted(numbers)) if numbers else tuple(found)


def given_plan(request: TuningRequest) -> dict[str, Any]:
    """Return the fields of the plan of each run. Raises Invalid if they contradict a search."""
    executor, objective = request.plan.get("executor"), request.plan.get("objective")
    if executor not in (None, FIND_CAPACITY):
        raise Invalid.field(
            "/plan/executor", f"executor must be {FIND_CAPACITY} in a tuning, not {shown(executor)}."
        )
    if objective not in (None, request.objective):
        raise Invalid.field("/plan/objective", "objective is a field of the tuning, not of its plan.")
    short = {} if request.scenario else {"duration_s": DURATION_S, "warmup_s": WARMUP_S}
    fixed = {"executor": FIND_CAPACITY, "objective": request.objective}
    return {**short, **request.plan, **fixed}
