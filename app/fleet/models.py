"""What models there are, learned from `$ENGINE_PYTHON -m engines --describe`: lessons are never imported here,
so the engines may run on another interpreter than the control plane."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from app.errors import FieldProblem, Invalid, LabError, NotNow, Unknown, shown
from app.machine.child_environment import child_environment
from app.schemas.model import KnobView, ModelView, RoleView, TermView
from engines.common.contract import BadKnob, Knob, Model, Role, parse_knobs


class NoEngines(LabError):
    """The interpreter that is to run the engines cannot."""

    status, title, slug = 503, "The engines cannot be run", "no-engines"


@dataclass(frozen=True)
class Models:
    """The catalogue, in the order in which models are taught, and what was calibrated for all of them."""

    views: dict[str, ModelView]
    calibration: str

    @classmethod
    def ask(cls, python: str) -> Models:
        """Ask the engines' interpreter; takes about half a second. Raises NoEngines in words of what failed."""
        described = [_view(each) for each in json.loads(_engines(python, "--describe"))]
        return cls({view.name: view for view in described}, _engines(python, "--calibrate").strip())

    @cached_property
    def contracts(self) -> dict[str, Model]:
        return {name: _contract(view) for name, view in self.views.items()}

    def get(self, name: str) -> ModelView:
        if name not in self.views:
            raise Unknown(f"There is no model {shown(name)}; there are {', '.join(self.views)}.")
        return self.views[name]

    def knobs(self, name: str, given: Mapping[str, object]) -> dict[str, int | str]:
        """All knobs of a model with `given` over the defaults; raises Invalid for each that is wrong."""
        self.get(name)
        model = self.contracts[name]
        problems = []
        for knob, value in given.items():
            try:
                parse_knobs(model, {knob: value})
            except BadKnob as bad:
                problems.append(FieldProblem(f"/knobs/{knob}", f"{bad.name} {bad.problem}"))
        if problems:
            raise Invalid(". ".join(problem.detail for problem in problems) + ".", tuple(problems))
        return parse_knobs(model, given)

    def require_available(self, name: str) -> None:
        if reason := self.get(name).unavailable_reason:
            raise NotNow(f"{name} is not available here: {reason}")


def _engines(python: str, flag: str) -> str:
    try:
        done = subprocess.run(
            [python, "-m", "engines", flag],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=child_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NoEngines(f"{python} -m engines {flag} failed: {said.strip().splitlines()[-1]}") from error
    return done.stdout


def _view(said: dict[str, Any]) -> ModelView:
    tuples = {name: tuple(said[name]) for name in ("aliases", "pros", "cons", "used_by")}
    roles = tuple(RoleView(**{**role, "threads": tuple(role["threads"])}) for role in said["roles"])
    knobs = tuple(KnobView(**{**knob, "choices": tuple(knob["choices"])}) for knob in said["knobs"])
    terms = tuple(TermView(**term) for term in said["literature"])
    return ModelView(**{**said, **tuples, "literature": terms, "roles": roles, "knobs": knobs})


def _contract(view: ModelView) -> Model:
    own = tuple(
        Knob(k.name, k.default, k.help, k.minimum, k.maximum, k.unit, k.choices)
        for k in view.knobs
        if not k.common
    )
    roles = tuple(Role(**asdict(role)) for role in view.roles)
    return Model(view.name, view.title, view.order, view.summary, roles, own)
