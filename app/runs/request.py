"""Orders: from what is asked for to a run that can be queued, checked now and not when its turn comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.errors import Invalid, NotNow, TooShortIdle, shown
from app.fleet.fleet import Fleet
from app.fleet.models import Models
from app.load.protocol.plan import Plan
from app.machine import system
from app.moment import now
from app.plans import validate
from app.plans.describe import words
from app.plans.scenarios import SCENARIOS
from app.plans.thresholds import Threshold, parse_all
from app.schemas.run import Follower, RunView
from app.schemas.scenario import ScenarioView
from app.schemas.states import RunState
from app.schemas.system import SystemView
from app.settings import Settings

FOLLOWERS_MAX = 5
IDLE_SPARE_S = 30  # an engine that carries an idle crowd outlives the plan by this


@dataclass(frozen=True, slots=True)
class Target:
    """What a run will be against: an engine that runs, or (None) a fresh one of the model."""

    engine: str | None
    model: str
    knobs: dict[str, int | str]
    followers: tuple[Follower, ...] = ()  # that take over from it, one after the other


@dataclass(frozen=True, slots=True)
class Order:
    """A run as it will be queued."""

    view: RunView
    plan: Plan
    thresholds: tuple[Threshold, ...]
    target: Target


class Orders:
    """Checks them. Raises LabError, and has changed nothing then."""

    def __init__(self, settings: Settings, models: Models, fleet: Fleet, system: SystemView) -> None:
        self._settings = settings
        self._models = models
        self._fleet = fleet
        self._system = system

    def take(
        self,
        *,
        engine: str | None = None,
        model: str | None = None,
        knobs: Mapping[str, object] | None = None,
        scenario: str | None = None,
        plan: Mapping[str, Any] | None = None,
        thresholds: Sequence[str] = (),
        label: str | None = None,
        then: Sequence[Mapping[str, Any]] = (),
    ) -> Order:
        """One run, against an engine that runs or a fresh one of a model; a plan's fields go over the scenario's.

        `then` makes it a relay: models (and knobs) of which one after the other takes over on the same port.
        """
        if (engine is None) == (model is None):
            raise Invalid.field("/engine", "Name either an engine that runs, or a model to start one of.")
        if engine is not None:
            self._fleet.engine(engine)
        elif model is not None:
            self._models.get(model)
        named, checked = self.planned(scenario, plan)
        conditions = parse_all(thresholds)
        target = self.target(engine, model, dict(knobs or {}), checked)
        if then:
            target = replace(target, followers=self._followers(target, checked, then))
        return Order(self._new_view(target, checked, named, label), checked, conditions, target)

    def planned(
        self, scenario: str | None, plan: Mapping[str, Any] | None
    ) -> tuple[ScenarioView | None, Plan]:
        """The scenario that is named, and its plan with the given fields over it. Raises Invalid."""
        named = self._scenario(scenario) if scenario else None
        fields = {**(named.plan if named else {}), **(plan or {})}
        return named, validate.checked(fields, self._settings, self._system.descriptor_limit)

    def target(self, engine: str | None, model: str | None, knobs: dict[str, object], plan: Plan) -> Target:
        """What the run will be against, checked now and not when its turn comes."""
        outlives = plan.total_s + IDLE_SPARE_S
        if engine is not None:
            found = self._fleet.engine(engine)
            if not found.state.is_serving:
                raise NotNow(f"{engine} is {found.state}; a run needs one that is ready.")
            if knobs:
                raise Invalid.field(
                    "/knobs", "Knobs are for a model; an engine that runs has its own already."
                )
            if _is_silent(plan) and int(found.knobs["idle_s"]) < outlives:
                raise TooShortIdle(engine, int(found.knobs["idle_s"]), outlives)
            self._check_room(plan, found.knobs)
            return Target(engine, found.model.name, found.knobs)
        assert model is not None
        if _is_silent(plan) and "idle_s" not in knobs:
            knobs["idle_s"] = int(outlives) + 1
        parsed = self._models.knobs(model, knobs)
        self._models.require_available(model)
        self._check_room(plan, parsed)
        return Target(None, model, parsed)

    def _followers(
        self, target: Target, plan: Plan, then: Sequence[Mapping[str, Any]]
    ) -> tuple[Follower, ...]:
        """The engines that are to take over, checked as the first one was."""
        if target.engine is not None:
            raise Invalid.field(
                "/then", "A relay begins with a fresh engine: name a model, not an engine that runs."
            )
        if len(then) > FOLLOWERS_MAX:
            raise Invalid.field("/then", f"At most {FOLLOWERS_MAX} engines take over.")
        if plan.executor == "find-capacity" or plan.stall_ms:
            raise Invalid.field("/then", "A relay is neither searched for capacity nor stalled.")
        targets = [
            self.target(None, str(each["model"]), dict(each.get("knobs") or {}), plan) for each in then
        ]
        return tuple(Follower(each.model, each.knobs) for each in targets)

    def _check_room(self, plan: Plan, knobs: Mapping[str, int | str]) -> None:
        room = min(int(knobs["max_connections"]), int(knobs.get("max_threads", 1_000_000)))
        if plan.connections > room:
            raise Invalid.field(
                "/plan/vus",
                f"The plan holds {plan.connections:,} connections, and the engine's knobs allow {room:,}.",
            )

    def _new_view(
        self, target: Target, plan: Plan, scenario: ScenarioView | None, label: str | None
    ) -> RunView:
        text = words(plan)
        return RunView(
            id=0,
            state=RunState.QUEUED,
            progress=0.0,
            label=label,
            scenario=scenario.name if scenario else None,
            title=scenario.title if scenario else "By hand",
            model=target.model,
            model_title=self._models.get(target.model).title,
            engine=target.engine,
            knobs=target.knobs,
            plan=plan.to_json(),
            plan_text=text,
            placement={"mode": plan.placement},
            environment=system.environment(self._system),
            summary=None,
            ledger=None,
            verdict=None,
            thresholds=(),
            failure=None,
            created_at=now(),
            finished_at=None,
            then=target.followers,
        )

    def _scenario(self, name: str) -> ScenarioView:
        if name not in SCENARIOS:
            raise Invalid.field(
                "/scenario", f"There is no scenario {shown(name)}; there are {', '.join(SCENARIOS)}."
            )
        return SCENARIOS[name]


def _is_silent(plan: Plan) -> bool:
    """Whether it holds connections that may not ask for anything while it lasts."""
    return bool(plan.idle_connections or plan.slow_readers or plan.slow_writers)
