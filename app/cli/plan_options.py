"""The options of a plan, for every command that generates load: one table, one option a field."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from app.cli.help import ADVANCED, LOAD, TIMING
from app.load.protocol.plan import EXECUTORS, PLACEMENTS, SPACINGS
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_stages, parse_work


@dataclass(frozen=True, slots=True)
class PlanOption:
    """A flag that sets a field of the plan.

    A field that is not given keeps the scenario's value, or its default.
    """

    flag: str
    field: str
    kind: Any  # int, float, str, bool (a flag without a value), or list[str] (repeatable)
    group: str
    metavar: str | None
    help: str


def _one_of(names: tuple[str, ...]) -> Any:
    return Literal.__getitem__(names)


OPTIONS = (
    PlanOption(
        "--executor",
        "executor",
        _one_of(EXECUTORS),
        LOAD,
        "NAME",
        f"How the load is generated: {', '.join(EXECUTORS)}.",
    ),
    PlanOption("--vus", "vus", int, LOAD, "N", "Connections."),
    PlanOption(
        "--rate", "rate_per_s", float, LOAD, "R", "Requests per second, for the arrival-rate executors."
    ),
    PlanOption("--spacing", "spacing", _one_of(SPACINGS), LOAD, None, "Arrival distribution."),
    PlanOption(
        "--stage",
        "stages",
        list[str],
        LOAD,
        "10s:2000",
        "A stage of a ramp: ramp linearly to 2000 (connections or req/s) over 10 s. Repeatable.",
    ),
    PlanOption(
        "--objective",
        "objective",
        str,
        LOAD,
        "T",
        "Limit that find-capacity searches the highest rate for, such as 'p(99)<20ms'.",
    ),
    PlanOption("--work", "work", str, LOAD, "MIX", "Request mix, such as '95% plaintext, 5% sleep 50ms'."),
    PlanOption("--duration", "duration_s", float, TIMING, "S", "Measured time in seconds."),
    PlanOption("--warmup", "warmup_s", float, TIMING, "S", "Warm-up before it, in seconds."),
    PlanOption(
        "--think", "think_time_ms", float, TIMING, "MS", "Pause between a response and the next request."
    ),
    PlanOption(
        "--timeout", "timeout_s", float, TIMING, "S", "Seconds after which a request counts as failed."
    ),
    PlanOption("--stall", "stall_ms", int, TIMING, "MS", "Pause the engine for this long halfway through."),
    PlanOption("--churn", "churn", bool, ADVANCED, None, "Open a new connection for each request."),
    PlanOption(
        "--pipeline", "pipeline", int, ADVANCED, "N", "Pipelining depth: requests per connection in flight."
    ),
    PlanOption(
        "--idle", "idle_connections", int, ADVANCED, "N", "Idle connections in addition to the active ones."
    ),
    PlanOption("--slow-readers", "slow_readers", int, ADVANCED, "N", "Slow-reading connections."),
    PlanOption("--slow-writers", "slow_writers", int, ADVANCED, "N", "Slow-writing connections."),
    PlanOption("--shards", "shards", int, ADVANCED, "N", "Load-generator processes."),
    PlanOption(
        "--placement",
        "placement",
        _one_of(PLACEMENTS),
        ADVANCED,
        None,
        "Pin engine and load generator to separate CPUs (split), or let them share all (shared).",
    ),
    PlanOption(
        "--trace",
        "trace",
        bool,
        ADVANCED,
        None,
        "Record the thread states. Adds overhead, so the result is not ranked.",
    ),
)
SCENARIO = PlanOption(
    "--scenario",
    "scenario",
    _one_of(tuple(SCENARIOS)),
    LOAD,
    "NAME",
    f"A named plan: {', '.join(SCENARIOS)}. The options below override its fields.",
)


def with_plan(command: Callable[..., int]) -> Callable[..., int]:
    """Adds --scenario and the options of a plan to `command`.

    It is called with `scenario`, a name or None, and with `plan`, the fields that were given.
    """

    @functools.wraps(command)
    def call(**given: Any) -> int:
        plan = plan_of({option.field: given.pop(option.field) for option in OPTIONS})
        return command(**given, plan=plan)

    own = [each for each in _signature(command).parameters.values() if each.name not in ("plan", "scenario")]
    call.__signature__ = inspect.Signature([*own, *map(_parameter, (SCENARIO, *OPTIONS))])  # type: ignore[attr-defined]
    call.__annotations__ = {}  # the signature has them, evaluated
    del call.__wrapped__
    return call


def plan_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of the plan that were given among `options` (field → value, None if not given).

    Raises Invalid for a request mix or a stage that cannot be parsed.
    """
    given = {each.field: options[each.field] for each in OPTIONS if _is_given(options[each.field])}
    if "work" in given:
        given["work"] = parse_work(given["work"])
    if "stages" in given:
        given["stages"] = [stage for text in given["stages"] for stage in parse_stages(text)]
    return given


def _is_given(value: Any) -> bool:
    return bool(value) if isinstance(value, list | tuple) else value is not None and value is not False


def _signature(command: Callable[..., int]) -> inspect.Signature:
    return inspect.signature(command, eval_str=True)


def _parameter(option: PlanOption) -> inspect.Parameter:
    declared = typer.Option(
        option.flag,
        metavar=option.metavar,
        help=option.help,
        rich_help_panel=option.group,
        show_default=False,
    )
    is_optional = option.kind is not bool
    return inspect.Parameter(
        option.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if is_optional else False,
        annotation=Annotated[option.kind | None if is_optional else bool, declared],
    )
