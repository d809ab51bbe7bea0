"""Requests for runs. They are validated when they are submitted, not when the run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Invalid, NotNow, TooShortIdle, shown
from app.fleet.fleet import Fleet
from app.fleet.launchables import Launchables
from app.hosts.port import HostPool
from app.load.protocol.plan import APP, Plan
from app.machine import system
from app.plans.describe import describe, title
from app.plans.fields import used_fields
from app.plans.scenarios import SCENARIOS
from app.plans.thresholds import Threshold, parse_thresholds
from app.plans.validate import validate_plan
from app.plans.validate_hosts import check_hosts
from app.schemas.run import RunView, Successor
from app.schemas.scenario import ScenarioView
from app.schemas.states import RunState
from app.schemas.system import SystemView
from app.servers.commands import is_command
from app.settings import Settings
from app.timestamps import rfc3339_now

SUCCESSORS_MAX = 5
IDLE_SPARE_S = 30  # an engine must keep idle connections open for this much longer than the plan


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A requested run: against a running engine (by id), or against a new engine of a model with these knobs.

    The fields of `plan` override those of the scenario. `then` makes it a hot swap: models (with knobs) that
    take over on the same port, one after the other. `comparison`, `experiment`, `tuning`: id of what
    the run is a trial of.
    """

    engine: str | None = None
    model: str | None = None
    knobs: Mapping[str, object] = field(default_factory=dict)
    scenario: str | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Sequence[str] = ()
    label: str | None = None
    then: Sequence[Mapping[str, Any]] = ()
    comparison: int | None = None
    experiment: int | None = None
    tuning: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The server under test: a running engine, or (`engine` is None) a new one of the model."""

    engine: str | None
    model: str
    knobs: dict[str, int | str]
    successors: tuple[Successor, ...] = ()  # of a hot swap, in order


@dataclass(frozen=True, slots=True)
class ValidRequest:
    """A validated request, with the run as it will be queued."""

    view: RunView
    plan: Plan
    thresholds: tuple[Threshold, ...]
    target: Target


class RequestValidator:
    """Validates requests against models, engines and limits of this machine. Every method raises LabError."""

    def __init__(
        self,
        settings: Settings,
        launchables: Launchables,
        fleet: Fleet,
        system: SystemView,
        hosts: HostPool,
    ) -> None:
        self._settings = settings
        self._launchables = launchables
        self._fleet = fleet
        self._system = system
        self._hosts = hosts

    def validate(self, request: RunRequest) -> ValidRequest:
        """Return a request with its plan, thresholds and server under test."""
        if (request.engine is None) == (request.model is None):
            raise Invalid.field("/engine", "Give either engine (a running one) or model (for a new engine).")
        if request.engine is not None:
            self._fleet.engine(request.engine)
        elif request.model is not None:
            self._launchables.require(request.model)
        scenario, plan = self.plan(request.scenario, request.plan)
        thresholds = parse_thresholds(request.thresholds)
        target = self.target(request.engine, request.model, request.knobs, plan)
        if request.then:
            target = replace(target, successors=self._successors(target, plan, request.then))
        return ValidRequest(self._new_view(target, plan, scenario, request), plan, thresholds, target)

    def plan(self, scenario: str | None, fields: Mapping[str, Any]) -> tuple[ScenarioView | None, Plan]:
        """Return the scenario (None: not given) and the plan, in which `fields` override the scenario."""
        named = self._scenario(scenario) if scenario else None
        by_scenario = named.plan if named else {}
        executor = str(fields.get("executor") or by_scenario.get("executor") or Plan().executor)
        given = {**used_fields(by_scenario, executor), **fields}
        plan = validate_plan(given, self._settings, self._system.descriptor_limit)
        hosts = self._hosts
        check_hosts(plan, hosts.load_hosts(), hosts.cluster, hosts.problem, self._settings.engine_host)
        return named, plan

    def target(
        self, engine: str | None, model: str | None, knobs: Mapping[str, object], plan: Plan
    ) -> Target:
        """Return the server under test. Exactly one of `engine` and `model` is given."""
        needed_s = plan.total_s + IDLE_SPARE_S
        if engine is not None:
            return self._running(engine, knobs, plan, needed_s)
        assert model is not None
        given = dict(knobs)
        is_external = self._launchables.is_external(model)
        if _has_idle_connections(plan) and not is_external and "idle_s" not in given:
            given["idle_s"] = int(needed_s) + 1
        parsed = self._launchables.parse_knobs(model, given)
        self._check_served(model, plan)
        self._launchables.require_available(model)
        _check_connection_limit(plan, parsed)
        return Target(None, model, parsed)

    def _running(self, engine: str, knobs: Mapping[str, object], plan: Plan, needed_s: float) -> Target:
        found = self._fleet.engine(engine)
        if not found.state.is_serving:
            raise NotNow(f"{engine} is {found.state}; a run needs a ready engine.")
        if knobs:
            raise Invalid.field("/knobs", "Knobs can only be set for a new engine, not for a running one.")
        idle_s = found.knobs.get("idle_s")
        if _has_idle_connections(plan) and idle_s is not None and int(idle_s) < needed_s:
            raise TooShortIdle(engine, int(idle_s), needed_s)
        self._check_served(found.name, plan)
        _check_connection_limit(plan, found.knobs)
        return Target(engine, found.name, found.knobs)

    def _check_served(self, name: str, plan: Plan) -> None:
        """Raise Invalid if a model or server cannot have this plan."""
        if plan.trace and self._launchables.is_external(name):
            raise Invalid.field(
                "/plan/trace",
                f"{name} is an external server, whose threads cannot be traced; their states are sampled.",
            )
        served = self._launchables.served_kinds(name)
        if not served:
            able = self._launchables.wsgi_servers
            raise Invalid(f"{name} cannot serve a WSGI application; all models can, and {', '.join(able)}.")
        for mix in (plan.work, *(group.work for group in plan.groups)):
            for work in mix:
                if work.kind not in served:
                    raise Invalid.field("/plan/work", _not_served(name, work.kind, served))

    def _successors(
        self, target: Target, plan: Plan, then: Sequence[Mapping[str, Any]]
    ) -> tuple[Successor, ...]:
        if target.engine is not None:
            raise Invalid.field("/then", "A hot swap needs a new engine: give model instead of engine.")
        if len(then) > SUCCESSORS_MAX:
            raise Invalid.field("/then", f"A hot swap has at most {SUCCESSORS_MAX} successors.")
        if plan.executor == "find-capacity" or plan.stall_ms:
            raise Invalid.field(
                "/then", "A hot swap cannot be combined with find-capacity or a server pause."
            )
        if any(map(self._launchables.is_external, (target.model, *(str(each["model"]) for each in then)))):
            raise Invalid.field("/then", "External servers cannot take part in a hot swap.")
        targets = [self.target(None, str(each["model"]), each.get("knobs") or {}, plan) for each in then]
        return tuple(Successor(each.model, each.knobs) for each in targets)

    def _new_view(
        self, target: Target, plan: Plan, scenario: ScenarioView | None, request: RunRequest
    ) -> RunView:
        model_title = self._launchables.title(target.model)
        return RunView(
            id=0,
            state=RunState.QUEUED,
            progress=0.0,
            label=request.label,
            scenario=scenario.name if scenario else None,
            title=title(model_title, plan, scenario),
            model=target.model,
            model_title=model_title,
            server=target.model if self._launchables.is_external(target.model) else None,
            engine=target.engine,
            knobs=target.knobs,
            plan=plan.to_json(),
            plan_text=describe(plan),
            placement={"mode": plan.placement},
            environment=self._environment(target.model),
            summary=None,
            ledger=None,
            verdict=None,
            thresholds=(),
            failure=None,
            created_at=rfc3339_now(),
            finished_at=None,
            comparison=request.comparison,
            experiment=request.experiment,
            tuning=request.tuning,
            then=target.successors,
        )

    def _environment(self, name: str) -> dict[str, Any]:
        facts = system.environment(self._system)
        return facts if is_command(name) else facts | self._launchables.application_fact

    def _scenario(self, name: str) -> ScenarioView:
        if name not in SCENARIOS:
            raise Invalid.field(
                "/scenario", f"There is no scenario {shown(name)}; scenarios: {', '.join(SCENARIOS)}."
            )
        return SCENARIOS[name]


def _not_served(name: str, kind: str, served: Sequence[str]) -> str:
    hint = ""
    if served == (APP,):
        hint = " Requests to an application are given by --path or --work, not by a scenario of the lab."
    elif kind == APP:
        hint = " An application is served by threadlab run MODEL --app MODULE:CALLABLE, from a shell only."
    return f"{name} does not serve {kind}; it serves {', '.join(served)}.{hint}"


def _has_idle_connections(plan: Plan) -> bool:
    """Return whether some connections send no complete request during the whole plan."""
    return bool(plan.idle_connections or plan.slow_readers or plan.slow_writers)


def _check_connection_limit(plan: Plan, knobs: Mapping[str, int | str]) -> None:
    """Raise Invalid if connections would be refused.

    Fewer threads than connections are allowed: the others wait in the accept queue, which can be the point.
    """
    limit = knobs.get("max_connections")
    if limit is not None and plan.connections > int(limit):
        raise Invalid.field(
            "/plan/vus",
            f"The plan opens {plan.connections:,} connections; the knobs of the engine allow {int(limit):,}.",
        )
