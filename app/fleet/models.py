"""The available models, as described by `$ENGINE_PYTHON -m engines --describe`.

Model modules are never imported here, so engines can run on another interpreter than the control plane.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

from app.errors import LabError, NotNow, Unknown, shown
from app.fleet.knobs import parse_given
from app.machine.child_environment import engine_environment
from app.schemas.model import KnobView, ModelView, RoleView, TermView
from engines.common.contract import Knob, Model, Role, parse_knobs

COMMAND_TIMEOUT_S = 30


class EnginesUnavailable(LabError):
    """The interpreter configured for the engines cannot run them."""

    status, title, slug = 503, "Engines unavailable", "no-engines"


@dataclass(frozen=True)
class Models:
    """All models by name, in teaching order. Thread-safe: immutable.

    calibration: iteration counts of the work kinds, measured once for all engines (opaque JSON).
    """

    views: dict[str, ModelView]
    calibration: str

    @classmethod
    def load(cls, python: str) -> Models:
        """Run the engines' interpreter and return its models. Blocks for about 0.4 s.

        Raises EnginesUnavailable with the last line of the error output.
        """
        described, calibration = _run_engines(python, "--describe", "--calibrate").splitlines()[-2:]
        return cls(_views(described), calibration)

    @cached_property
    def contracts(self) -> dict[str, Model]:
        """The models by name, as the engines define them."""
        return {name: _contract(view) for name, view in self.views.items()}

    def get(self, name: str) -> ModelView:
        """Return a model. Raises Unknown."""
        if name not in self.views:
            raise Unknown(f"There is no model {shown(name)}; there are {', '.join(self.views)}.")
        return self.views[name]

    def parse_knobs(self, name: str, given: Mapping[str, object]) -> dict[str, int | str]:
        """Return all knobs of a model: `given` values over the defaults.

        Raises Unknown for the model, and Invalid with a problem for each wrong knob.
        """
        self.get(name)
        return parse_given(partial(parse_knobs, self.contracts[name]), given)

    def require_available(self, name: str) -> None:
        """Raise NotNow if a model cannot run on this machine."""
        if reason := self.get(name).unavailable_reason:
            raise NotNow(f"{name} is not available here: {reason}")


def describe(python: str) -> dict[str, ModelView]:
    """Return the models of the engines' interpreter by name.

    Blocks for about 0.1 s. Raises EnginesUnavailable.
    """
    return _views(_run_engines(python, "--describe"))


def _views(described: str) -> dict[str, ModelView]:
    views = map(_view, json.loads(described))
    return {view.name: view for view in views}


def _run_engines(python: str, *flags: str) -> str:
    try:
        done = subprocess.run(
            [python, "-P", "-m", "engines", *flags],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
            env=engine_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        last_line = output.strip().splitlines()[-1]
        raise EnginesUnavailable(f"{python} -m engines {' '.join(flags)} failed: {last_line}") from error
    return done.stdout


def _view(description: dict[str, Any]) -> ModelView:
    tuples = {
        name: tuple(description[name]) for name in ("aliases", "pros", "cons", "used_by", "when_to_use")
    }
    roles = tuple(RoleView(**{**role, "threads": tuple(role["threads"])}) for role in description["roles"])
    knobs = tuple(KnobView(**{**knob, "choices": tuple(knob["choices"])}) for knob in description["knobs"])
    terms = tuple(TermView(**term) for term in description["literature"])
    return ModelView(**{**description, **tuples, "literature": terms, "roles": roles, "knobs": knobs})


def contract_of(view: KnobView) -> Knob:
    """Return a knob as the engines define it."""
    return Knob(view.name, view.default, view.help, view.minimum, view.maximum, view.unit, view.choices)


def _contract(view: ModelView) -> Model:
    own_knobs = tuple(contract_of(knob) for knob in view.knobs if not knob.common)
    roles = tuple(Role(**asdict(role)) for role in view.roles)
    return Model(view.name, view.title, view.order, view.summary, roles, own_knobs)
