"""Checking a plan: bounds, what goes together, and whether it fits this machine, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import FieldProblem, Invalid, shown
from app.load.protocol.plan import KINDS, RAMPING, Plan, Work
from app.machine.cpu_placement import load_cpus_max
from app.plans.bounds import flag, number, one_of, whole
from app.plans.fields import FIELDS, FIND_CAPACITY, FieldKind, Limit, PlanField
from app.plans.thresholds import Threshold
from app.settings import Settings

_PARAMETERS = {
    "plaintext": {},
    "echo": {"n": (0, 1024 * 1024)},
    "cpu": {"us": (0, 1_000_000)},
    "hash": {"us": (0, 1_000_000)},
    "sleep": {"ms": (0, 10_000)},
    "bytes": {"n": (0, 1024 * 1024)},
}
WORKS_MAX = 8
STAGES_MAX = 50
STAGE_LEAST_S = 0.1
GENERATOR_SPARE = 64


def checked(data: Mapping[str, Any], settings: Settings, descriptor_limit: int) -> Plan:
    """A plan within its bounds; raises Invalid with every field that is wrong, and what would be right."""
    try:
        plan = Plan.from_json(data)
    except TypeError as error:
        raise Invalid.field("/plan", f"{error}.") from None
    most = min(settings.max_connections, descriptor_limit - GENERATOR_SPARE)
    problems = [
        *filter(None, _bounds(plan, settings, most)),
        *_stages(plan, settings, most),
        *_work(plan.work),
    ]
    if not problems:  # what does not go together is only worth saying of fields that are right by themselves
        problems = [*_together(plan), *_size(plan, settings, most)]
    if problems:
        raise Invalid(" ".join(problem.detail for problem in problems), tuple(problems))
    return plan


def _bounds(plan: Plan, settings: Settings, most: int) -> Iterator[FieldProblem | None]:
    limits = {
        Limit.CONNECTIONS: most,
        Limit.RATE: settings.max_rate,
        Limit.DURATION: settings.max_duration_s,
    }
    for each in FIELDS:
        if not _is_given(each, plan):
            continue
        value, maximum = getattr(plan, each.name), each.maximum
        if isinstance(maximum, Limit):
            maximum = limits[maximum]
        match each.kind:
            case FieldKind.CHOICE:
                yield one_of(each.name, value, tuple(each.choices))
            case FieldKind.INTEGER:
                yield whole(each.name, value, int(each.minimum), int(maximum))
            case FieldKind.NUMBER:
                yield number(each.name, value, each.minimum, maximum)
            case FieldKind.FLAG:
                yield flag(each.name, value)


def _is_given(each: PlanField, plan: Plan) -> bool:
    """The duration of a ramp is the sum of its stages, and only open executors have a rate."""
    if each.name == "rate_per_s" and plan.rate_per_s is None and plan.executor == FIND_CAPACITY:
        return False
    return each.name not in ("duration_s", "rate_per_s") or plan.executor in each.executors


def _stages(plan: Plan, settings: Settings, most: int) -> list[FieldProblem]:
    if plan.executor not in RAMPING:
        return (
            [
                FieldProblem(
                    "/plan/stages", f"{plan.executor} has no stages; {' and '.join(sorted(RAMPING))} have."
                )
            ]
            if plan.stages
            else []
        )
    if not 1 <= len(plan.stages) <= STAGES_MAX:
        return [
            FieldProblem(
                "/plan/stages",
                f"{plan.executor} needs from 1 to {STAGES_MAX} stages, each with duration_s and target.",
            )
        ]
    found = []
    for i, stage in enumerate(plan.stages):
        at = f"/plan/stages/{i}"
        found.append(number("duration_s", stage.duration_s, STAGE_LEAST_S, settings.max_duration_s, at))
        if plan.executor == "ramping-vus":
            found.append(whole("target", _as_whole(stage.target), 0, most, at))
        else:
            found.append(number("target", stage.target, 0, settings.max_rate, at))
    return [problem for problem in found if problem]


def _as_whole(target: Any) -> Any:
    """Targets are numbers, for those of a rate may have a part; of connections 8.0 is 8."""
    return int(target) if isinstance(target, float) and target.is_integer() else target


def _work(mix: tuple[Work, ...]) -> list[FieldProblem]:
    if len(mix) > WORKS_MAX:
        return [FieldProblem("/plan/work", f"At most {WORKS_MAX} kinds of work.")]
    problems = []
    for i, work in enumerate(mix):
        pointer = f"/plan/work/{i}"
        if problem := one_of("kind", work.kind, KINDS, pointer):
            problems.append(problem)
            continue
        if problem := whole("weight", work.weight, 1, 10_000, pointer):
            problems.append(problem)
        takes: Mapping[str, tuple[int, int]] = _PARAMETERS[work.kind]
        if set(work.params) != set(takes):
            needs = ", ".join(takes) or "no parameters"
            problems.append(FieldProblem(f"{pointer}/params", f"{work.kind} takes {needs}."))
            continue
        for name, (low, high) in takes.items():
            if problem := whole(name, work.params[name], low, high, f"{pointer}/params"):
                problems.append(problem)
    return problems


def _together(plan: Plan) -> Iterator[FieldProblem]:
    """What is right by itself, and makes no sense beside another field."""

    def wrong(name: str, text: str) -> FieldProblem:
        return FieldProblem(f"/plan/{name}", text)

    if plan.churn and plan.pipeline > 1:
        yield wrong(
            "pipeline", "With churn a connection carries one request, so there is nothing to pipeline."
        )
    if plan.pipeline > 1 and plan.is_open:
        yield wrong(
            "pipeline",
            f"{plan.executor} sends each request at its own instant; only the closed executors pipeline.",
        )
    if plan.think_time_ms and plan.is_open:
        yield wrong(
            "think_time_ms", f"{plan.executor} sends by its schedule; only the closed executors think."
        )
    if plan.think_time_ms and plan.pipeline > 1:
        yield wrong(
            "think_time_ms", "Who pipelines does not wait for an answer, and so does not think after it."
        )
    if plan.stall_ms and plan.stall_ms > 500 * plan.duration_s:
        yield wrong("stall_ms", f"A stall takes at most half of the measured {plan.duration_s:g} s.")
    if plan.executor == "find-capacity":
        yield from _search(plan, wrong)
    elif plan.objective is not None:
        yield wrong(
            "objective", f"An objective is what find-capacity searches by; {plan.executor} has thresholds."
        )
    cpus = load_cpus_max(plan.placement)
    if plan.shards > min(cpus, plan.vus):
        yield wrong(
            "shards",
            f"At most one shard for each CPU that {plan.placement} gives the generator ({cpus} here) and for each "
            f"connection ({plan.vus:,}).",
        )


def _search(plan: Plan, wrong: Any) -> Iterator[FieldProblem]:
    if plan.objective is None:
        yield wrong("objective", "find-capacity needs an objective, such as p(99)<20ms.")
    elif not Threshold.parse(plan.objective, "/plan/objective").is_ceiling_of_latency:
        yield wrong(
            "objective",
            f"{shown(plan.objective)} is no objective: it is a ceiling of latency, such as p(99)<20ms.",
        )
    if plan.spacing != "constant":
        yield wrong("spacing", "find-capacity offers its rates with constant spacing.")
    if plan.stall_ms:
        yield wrong("stall_ms", "A stall in each trial would hide the capacity that is searched for.")


def _size(plan: Plan, settings: Settings, most: int) -> Iterator[FieldProblem]:
    if plan.connections > most:
        named = [name for name in ("slow_writers", "slow_readers", "idle_connections") if getattr(plan, name)]
        yield FieldProblem(
            f"/plan/{named[-1] if named else 'vus'}",
            f"vus and idle_connections together are at most {most:,} here, with slow ones "
            f"and the peak of a ramp counted ({plan.connections:,} were asked for).",
        )
    if plan.total_s > settings.max_duration_s:
        at = "stages" if plan.executor in RAMPING else "duration_s"
        yield FieldProblem(
            f"/plan/{at}", f"Warm-up and duration together last at most {settings.max_duration_s:g} s."
        )
