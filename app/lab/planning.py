"""Checking a plan: bounds, and whether it fits this machine, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import FieldProblem, Invalid
from app.load.plan import EXECUTORS, KINDS, PLACEMENTS, SPACINGS, Plan, Work
from app.settings import Settings

_PARAMETERS = {
    "plaintext": {},
    "echo": {"n": (0, 1024 * 1024)},
    "cpu": {"us": (0, 1_000_000)},
    "hash": {"us": (0, 1_000_000)},
    "sleep": {"ms": (0, 10_000)},
    "bytes": {"n": (0, 1024 * 1024)},
}  # fmt: skip
WORKS_MAX = 8
GENERATOR_SPARE = 64


def checked(data: Mapping[str, Any], settings: Settings, descriptor_limit: int) -> Plan:
    """A plan within its bounds; raises Invalid with every field that is wrong, and what would be right."""
    try:
        plan = Plan.from_json(data)
    except TypeError as error:
        raise Invalid.field("/plan", f"{error}.") from None
    problems = [*_bounds(plan, settings, descriptor_limit), *_work(plan.work)]
    if problems:
        raise Invalid(" ".join(problem.detail for problem in problems), tuple(problems))
    return plan


def words(plan: Plan) -> str:
    """The plan in one line."""
    if plan.is_open:
        load = f"{plan.rate_per_s:,.0f} requests a second ({plan.spacing}), at most {plan.vus:,} connections"
    else:
        load = f"{plan.vus:,} connections as fast as answers come"
        if plan.think_time_ms:
            load += f" after {plan.think_time_ms:g} ms of thought"
    crowd = f", {plan.idle_connections:,} idle beside them" if plan.idle_connections else ""
    mix = ""
    if [work.kind for work in plan.work] != ["plaintext"]:
        weights = sum(work.weight for work in plan.work)
        mix = ", " + " + ".join(f"{100 * work.weight / weights:.3g} % {work.label}" for work in plan.work)
    return f"{load}{crowd}{mix}, {plan.duration_s:g} s after {plan.warmup_s:g} s of warm-up"


def _bounds(plan: Plan, settings: Settings, descriptor_limit: int) -> list[FieldProblem]:
    most = min(settings.max_connections, descriptor_limit - GENERATOR_SPARE)
    found = [
        _one_of("executor", plan.executor, EXECUTORS),
        _one_of("placement", plan.placement, PLACEMENTS),
        _one_of("spacing", plan.spacing, SPACINGS),
        _whole("vus", plan.vus, 1, most),
        _whole("idle_connections", plan.idle_connections, 0, most),
        _number("duration_s", plan.duration_s, 0.5, settings.max_duration_s),
        _number("warmup_s", plan.warmup_s, 0, settings.max_duration_s),
        _number("think_time_ms", plan.think_time_ms, 0, 60_000),
        _number("timeout_s", plan.timeout_s, 0.1, 60),
    ]
    if plan.is_open:
        found.append(_number("rate_per_s", plan.rate_per_s, 1, settings.max_rate))
    problems = [problem for problem in found if problem]
    if not problems and plan.vus + plan.idle_connections > most:
        problems.append(
            FieldProblem("/plan/idle_connections", f"vus and idle_connections together are at most {most:,} here.")
        )
    if not problems and plan.total_s > settings.max_duration_s:
        text = f"Warm-up and duration together last at most {settings.max_duration_s:g} s."
        problems.append(FieldProblem("/plan/duration_s", text))
    return problems


def _work(mix: tuple[Work, ...]) -> list[FieldProblem]:
    if len(mix) > WORKS_MAX:
        return [FieldProblem("/plan/work", f"At most {WORKS_MAX} kinds of work.")]
    problems = []
    for i, work in enumerate(mix):
        pointer = f"/plan/work/{i}"
        if problem := _one_of("kind", work.kind, KINDS, pointer):
            problems.append(problem)
            continue
        if problem := _whole("weight", work.weight, 1, 10_000, pointer):
            problems.append(problem)
        takes: Mapping[str, tuple[int, int]] = _PARAMETERS[work.kind]
        if set(work.params) != set(takes):
            needs = ", ".join(takes) or "no parameters"
            problems.append(FieldProblem(f"{pointer}/params", f"{work.kind} takes {needs}."))
            continue
        for name, (low, high) in takes.items():
            if problem := _whole(name, work.params[name], low, high, f"{pointer}/params"):
                problems.append(problem)
    return problems


def _one_of(name: str, value: Any, choices: tuple[str, ...], at: str = "/plan") -> FieldProblem | None:
    if value in choices:
        return None
    return FieldProblem(f"{at}/{name}", f"{name} is one of {', '.join(choices)}, not {value!r}.")


def _whole(name: str, value: Any, low: int, high: int, at: str = "/plan") -> FieldProblem | None:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return None
    return FieldProblem(
        f"{at}/{name}", f"{name} is a whole number from {low:,} to {high:,} ({_said(value)} was given)."
    )


def _number(name: str, value: Any, low: float, high: float, at: str = "/plan") -> FieldProblem | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return None
    return FieldProblem(f"{at}/{name}", f"{name} is a number from {low:,g} to {high:,g} ({_said(value)} was given).")


def _said(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "nothing" if value is None else repr(value)
