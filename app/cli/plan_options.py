"""The options of a plan, for every command that generates load: made of the fields of a plan."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import typer

from app.cli import http_options
from app.cli.help import ADVANCED, LOAD, TIMING
from app.cli.http_options import HttpOption
from app.errors import FieldProblem, Invalid
from app.plans.fields import FIELDS, FieldKind, PlanField
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_groups, parse_stages, parse_work

FLAGS = {each.name: each.option for each in FIELDS}
_TYPES = {
    FieldKind.INTEGER: int,
    FieldKind.NUMBER: float,
    FieldKind.FLAG: bool,
    FieldKind.STAGES: list[str],
    FieldKind.GROUPS: list[str],
}
_METAVARS = {
    FieldKind.INTEGER: "N",
    FieldKind.NUMBER: "X",
    FieldKind.TEXT: "T",
    FieldKind.WORK: "MIX",
    FieldKind.STAGES: "STAGE",
    FieldKind.GROUPS: "GROUP",
}


def with_plan(command: Callable[..., int]) -> Callable[..., int]:
    """Add --scenario, the options of a plan and those of an http request to `command`.

    It is called with `scenario`, a name or None, and with `plan`, the fields that were given.
    """

    @functools.wraps(command)
    def call(**given: Any) -> int:
        request = {each.name: given.pop(each.name) for each in http_options.OPTIONS}
        with flags_in_errors(FLAGS | http_options.flags(request)):
            plan = plan_of({each.name: given.pop(each.name) for each in FIELDS})
            return command(**given, plan=http_options.with_request(plan, request))

    own = [each for each in _signature(command).parameters.values() if each.name not in ("plan", "scenario")]
    options = [_scenario(), *map(_parameter, FIELDS), *map(_http_parameter, http_options.OPTIONS)]
    call.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    call.__annotations__ = {}  # the signature has them, evaluated
    del call.__wrapped__
    return call


def plan_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the plan that were given among `options` (name → value, None if not given).

    Raises Invalid for a request mix, a stage or a load group that cannot be parsed.
    """
    given = {each.name: options[each.name] for each in FIELDS if _is_given(options[each.name])}
    if "work" in given:
        given["work"] = parse_work(given["work"])
    if "stages" in given:
        given["stages"] = [stage for text in given["stages"] for stage in parse_stages(text)]
    if "groups" in given:
        given["groups"] = [group for text in given["groups"] for group in parse_groups(text)]
    return given


@contextlib.contextmanager
def flags_in_errors(flags: Mapping[str, str]) -> Iterator[None]:
    """Let an Invalid of the block name fields of a plan by `flags`, as the user gave them.

    `flags`: a flag by the JSON pointer of its field, without `/plan/`.
    """
    try:
        yield
    except Invalid as error:
        details = [each.detail for each in error.problems]
        if not details or error.detail != " ".join(details):
            raise
        texts = (_with_flag(each, flags) for each in error.problems)
        raise Invalid(" ".join(texts), error.problems) from None


def _with_flag(problem: FieldProblem, flags: Mapping[str, str]) -> str:
    """Return `--duration must be …` of `duration_s must be …`, and put the flag before other sentences."""
    of, *path = problem.pointer.strip("/").split("/")
    path = path if of == "plan" else [of]
    depth = next((n for n in range(len(path), 0, -1) if "/".join(path[:n]) in flags), 0)
    if not depth:
        return problem.detail
    flag = flags["/".join(path[:depth])]
    rest = problem.detail.removeprefix(path[-1])
    if rest == problem.detail:
        return f"{flag}: {problem.detail}"
    is_nested = len(path) > depth  # a stage or request kind: the flag is that of the whole list
    return f"{flag}: {path[-1].removesuffix('_s')}{rest}" if is_nested else f"{flag}{rest}"


def _is_given(value: Any) -> bool:
    return bool(value) if isinstance(value, list | tuple) else value is not None and value is not False


def _signature(command: Callable[..., int]) -> inspect.Signature:
    return inspect.signature(command, eval_str=True)


def _scenario() -> inspect.Parameter:
    names = tuple(SCENARIOS)
    help = f"A named plan: {', '.join(names)}. The options below override its fields."
    return _option("scenario", "--scenario", _one_of(names), "NAME", help, LOAD)


def _parameter(each: PlanField) -> inspect.Parameter:
    kind = _one_of(each.choices) if each.kind == FieldKind.CHOICE else _TYPES.get(each.kind, str)
    metavar = each.unit.upper() or _METAVARS.get(each.kind)
    panel = ADVANCED if each.is_advanced else TIMING if each.unit in ("s", "ms") else LOAD
    return _option(each.name, each.option, kind, metavar, each.help, panel)


def _http_parameter(each: HttpOption) -> inspect.Parameter:
    return _option(each.name, each.flag, each.type, each.metavar, each.help, LOAD)


def _option(name: str, flag: str, kind: Any, metavar: str | None, help: str, panel: str) -> inspect.Parameter:
    declared = typer.Option(flag, metavar=metavar, help=help, rich_help_panel=panel, show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if kind is bool else None,
        annotation=Annotated[bool if kind is bool else kind | None, declared],
    )


def _one_of(names: Iterable[str]) -> Any:
    return Literal.__getitem__(tuple(names))
