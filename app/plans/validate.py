"""Validation of a plan before a run: each field, combinations of fields, and limits of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import FieldProblem, Invalid, shown
from app.load.protocol.plan import EXECUTORS, HOSTS, RAMPING, Plan
from app.machine.cpu_placement import load_cpus_max
from app.plans.bounds import Bounds, check_choice, check_flag, check_integer, check_number
from app.plans.fields import FIELDS, FIND_CAPACITY, FieldKind, Limit
from app.plans.thresholds import Threshold
from app.plans.validate_groups import check_groups
from app.plans.validate_work import check_work
from app.settings import Settings

STAGES_MAX = 50
STAGE_MIN_S = 0.1
GENERATOR_DESCRIPTORS = 64  # file descriptors of the load generator that are not connections
STALL_SHARE_MAX = 0.5  # of the measured time


def validate_plan(data: Mapping[str, Any], settings: Settings, descriptor_limit: int) -> Plan:
    """Return the plan of these fields; missing ones have their defaults.

    `descriptor_limit`: open files that a process may have. Raises Invalid with every wrong field and what is
    allowed.
    """
    try:
        plan = Plan.from_json(data)
    except TypeError as error:
        raise Invalid.field("/plan", f"{error}.") from None
    connections_max = min(settings.max_connections, descriptor_limit - GENERATOR_DESCRIPTORS)
    problems = [
        *_unused(plan, data),
        *filter(None, _fields(plan, settings, connections_max)),
        *_stages(plan, settings, connections_max),
        *check_work(plan.work),
        *check_groups(plan.groups, Bounds(1, connections_max), Bounds(1, settings.max_rate, "req/s")),
    ]
    if not problems:  # combinations are checked only if each field is valid by itself
        problems = [*_combinations(plan), *_totals(plan, settings, connections_max)]
    if problems:
        raise Invalid(" ".join(problem.detail for problem in problems), tuple(problems))
    return plan


def _fields(plan: Plan, settings: Settings, connections_max: int) -> Iterator[FieldProblem | None]:
    limits = {
        Limit.CONNECTIONS: connections_max,
        Limit.RATE: settings.max_rate,
        Limit.DURATION: settings.max_duration_s,
    }
    for each in FIELDS:
        if plan.executor not in each.executors or _is_start_of_search(each.name, plan):
            continue
        value, maximum = getattr(plan, each.name), each.maximum
        bounds = Bounds(each.minimum, limits[maximum] if isinstance(maximum, Limit) else maximum, each.unit)
        match each.kind:
            case FieldKind.CHOICE:
                yield check_choice(each.name, value, tuple(each.choices))
            case FieldKind.INTEGER:
                yield check_integer(each.name, value, bounds)
            case FieldKind.NUMBER:
                yield check_number(each.name, value, bounds)
            case FieldKind.FLAG:
                yield check_flag(each.name, value)


def _unused(plan: Plan, data: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Yield the given fields that the executor does not use: to ignore them would run another load.

    Defaults may be given, and the duration of a ramp, the sum of its stages: a stored plan has both.
    """
    if plan.executor not in EXECUTORS:
        return
    for each in FIELDS:
        given = data.get(each.name)
        if plan.executor in each.executors or not given or given == each.default:
            continue
        if each.name != "duration_s" or given != plan.duration_s:
            users = ", ".join(sorted(each.executors))
            yield _problem(each.name, f"{each.name} is only for {users}, not for {plan.executor}.")


def _is_start_of_search(name: str, plan: Plan) -> bool:
    """Return whether the field is the rate of find-capacity, which may be missing."""
    return name == "rate_per_s" and plan.rate_per_s is None and plan.executor == FIND_CAPACITY


def _stages(plan: Plan, settings: Settings, connections_max: int) -> list[FieldProblem]:
    if plan.executor not in RAMPING:
        return []
    if not 1 <= len(plan.stages) <= STAGES_MAX:
        detail = f"{plan.executor} needs 1 to {STAGES_MAX} stages, each with a duration and a target."
        return [_problem("stages", detail)]
    durations = Bounds(STAGE_MIN_S, settings.max_duration_s, "s")
    found = []
    for i, stage in enumerate(plan.stages):
        pointer = f"/plan/stages/{i}"
        found.append(check_number("duration_s", stage.duration_s, durations, pointer))
        if plan.executor == "ramping-vus":
            targets = Bounds(0, connections_max, "connections")
            found.append(check_integer("target", _as_integer(stage.target), targets, pointer))
        else:
            found.append(check_number("target", stage.target, Bounds(0, settings.max_rate, "req/s"), pointer))
    return [problem for problem in found if problem]


def _as_integer(target: Any) -> Any:
    """Targets are floats, because a rate may have a fraction; as a number of connections, 8.0 is 8."""
    return int(target) if isinstance(target, float) and target.is_integer() else target


def _combinations(plan: Plan) -> Iterator[FieldProblem]:
    """Yield fields that are valid by themselves but contradict another field."""
    if plan.churn and plan.pipeline > 1:
        yield _problem("pipeline", "Churn allows one request per connection, so pipeline must be 1.")
    if plan.think_time_ms and plan.pipeline > 1:
        yield _problem("think_time_ms", "Think time cannot be combined with pipelining.")
    stall_max_ms = 1000 * STALL_SHARE_MAX * plan.duration_s
    if plan.stall_ms and plan.stall_ms > stall_max_ms:
        yield _problem(
            "stall_ms", f"stall_ms must be at most half of the measured time ({stall_max_ms:,g} ms)."
        )
    if plan.executor == FIND_CAPACITY:
        yield from _search(plan)
    yield from _shards(plan)


def _search(plan: Plan) -> Iterator[FieldProblem]:
    if plan.objective is None:
        yield _problem("objective", f"{FIND_CAPACITY} needs an objective, such as p(99)<20ms.")
    elif not Threshold.parse(plan.objective, "/plan/objective").is_latency_limit:
        yield _problem(
            "objective",
            f"{shown(plan.objective)} is not an objective: it must limit a latency, such as p(99)<20ms.",
        )


def _shards(plan: Plan) -> Iterator[FieldProblem]:
    """Each shard needs its own CPU and connection. On hosts, their CPUs count: see validate_hosts.py."""
    if plan.placement == HOSTS:
        if plan.shards > plan.vus:
            yield _problem("shards", f"shards must be at most {plan.vus:,}, the connections of the plan.")
        return
    cpus = load_cpus_max(plan.placement)
    if plan.shards > min(cpus, plan.vus):
        yield _problem(
            "shards",
            f"shards must be at most {min(cpus, plan.vus):,}: placement {plan.placement} leaves {cpus} CPUs "
            f"for the load generator, and the plan has {plan.vus:,} connections.",
        )


def _totals(plan: Plan, settings: Settings, connections_max: int) -> Iterator[FieldProblem]:
    if plan.connections > connections_max:
        names = ("groups", "slow_writers", "slow_readers", "idle_connections")
        extra = [name for name in names if getattr(plan, name)]
        yield _problem(
            extra[-1] if extra else "vus",
            f"At most {connections_max:,} connections are allowed, including idle and slow ones, load groups "
            f"and the peak of a ramp; this plan needs {plan.connections:,}.",
        )
    if plan.groups and (total := _rate_peak(plan)) > settings.max_rate:
        yield _problem(
            "groups",
            f"At most {settings.max_rate:,g} req/s are allowed for all loads together; this plan has "
            f"{total:,g}.",
        )
    if plan.total_s > settings.max_duration_s:
        yield _problem(
            "stages" if plan.executor in RAMPING else "duration_s",
            f"Warm-up and measured time must not exceed {settings.max_duration_s:,g} s in total "
            f"(given: {plan.total_s:,g} s).",
        )


def _rate_peak(plan: Plan) -> float:
    """Return the highest rate of all open loads together."""
    levels = [plan.rate_per_s or 0, *(stage.target for stage in plan.stages)]
    main = max(levels) if plan.is_open else 0
    return main + sum(group.rate_per_s or 0 for group in plan.groups)


def _problem(name: str, detail: str) -> FieldProblem:
    return FieldProblem(f"/plan/{name}", detail)
