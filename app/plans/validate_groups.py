"""Validation of load groups: names, and the bounds of each group by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import FieldProblem, shown
from app.load.protocol.plan import LoadGroup, is_group_name
from app.plans.bounds import Bounds, check_flag, check_integer, check_number
from app.plans.validate_work import check_work

GROUPS_MAX = 4  # each is a process of its own, on the CPUs of the main load
NAME_LENGTH_MAX = 20
THINK_TIMES = Bounds(0, 60_000, "ms")


def check_groups(groups: Sequence[LoadGroup], connections: Bounds, rates: Bounds) -> list[FieldProblem]:
    """Return the problems of the load groups. `connections`, `rates`: what one group may have."""
    if len(groups) > GROUPS_MAX:
        return [FieldProblem("/plan/groups", f"A plan has at most {GROUPS_MAX} load groups.")]
    names = [group.name for group in groups]
    problems: list[FieldProblem] = []
    for i, group in enumerate(groups):
        pointer = f"/plan/groups/{i}"
        problems += _name(group.name, names[:i], pointer)
        problems += filter(None, _load(group, connections, rates, pointer))
        problems += check_work(group.work, pointer)
    return problems


def _name(name: object, earlier: Sequence[str], pointer: str) -> Iterator[FieldProblem]:
    if not (isinstance(name, str) and len(name) <= NAME_LENGTH_MAX and is_group_name(name)):
        allowed = f"1 to {NAME_LENGTH_MAX} characters of a-z, 0-9 and -"
        yield FieldProblem(f"{pointer}/name", f"The name of a load group has {allowed}, not {shown(name)}.")
    elif name in earlier:
        yield FieldProblem(f"{pointer}/name", f"Another load group is named {name}: names must be unique.")


def _load(
    group: LoadGroup, connections: Bounds, rates: Bounds, pointer: str
) -> Iterator[FieldProblem | None]:
    yield check_integer("vus", group.vus, connections, pointer)
    if group.rate_per_s is not None:
        yield check_number("rate_per_s", group.rate_per_s, rates, pointer)
    yield check_flag("churn", group.churn, pointer)
    if group.rate_per_s and group.think_time_ms:
        yield FieldProblem(f"{pointer}/think_time_ms", "A load group with a rate has no think time.")
    else:
        yield check_number("think_time_ms", group.think_time_ms, THINK_TIMES, pointer)
