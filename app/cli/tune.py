"""`threadlab tune`: the value of a knob with which a model or server keeps an objective at the best rate."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import console, labs, options, output
from app.cli.exit_codes import FAILED, OK
from app.cli.help import TARGET, TIMING, Command
from app.cli.plan_options import with_plan
from app.cli.run import Knobs
from app.cli.user_code import UserCode
from app.errors import Invalid
from app.statistics.decision import QUICK_ROUNDS, ROUNDS
from app.tunings.values import parse_values

if TYPE_CHECKING:
    from app.schemas.tuning import TuningView

FORM = "NAME=LO..HI, NAME=A,B,C, or NAME for all choices"
Tuned = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|SERVER",
        help="The model or the external server, such as reactor-pool or gunicorn.",
        autocompletion=options.complete_model,
    ),
]


@dataclass(frozen=True, slots=True)
class Ended:
    """A tuning that has ended, and the signal that stopped it early."""

    view: TuningView
    stopped_by: int | None


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(with_plan(tune))


def tune(
    model: Tuned,
    plan: dict[str, Any],
    scenario: str | None,
    knob: Annotated[
        str,
        typer.Option(
            metavar="NAME=LO..HI",
            help=f"The knob to tune with at most 8 values: {FORM}.",
            rich_help_panel=TARGET,
        ),
    ],
    set_: Knobs = None,
    app: options.App = None,
    app_dir: options.AppDir = None,
    app_env: options.AppEnv = None,
    server: options.Server = None,
    cluster: options.Cluster = None,
    rounds: Annotated[
        int,
        typer.Option(
            metavar="N",
            help=f"Rounds; each measures every value once, in random order. Fewer than {ROUNDS} show a "
            "tendency.",
            rich_help_panel=TIMING,
        ),
    ] = QUICK_ROUNDS,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Seed of the random order, to repeat it. Default: a new one.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    label: options.Label = None,
    json: options.JsonFile = None,
) -> int:
    """Find the smallest value of a knob within 10 % of the best rate."""
    files = output.check_writable({"json": json})
    objective = plan.pop("objective", None)
    if objective is None:
        raise Invalid.field("/objective", "objective is required, such as 'p(99)<50ms'.")
    user_code = UserCode((), app, app_dir, tuple(app_env or ()))
    plan = user_code.plan(plan, scenario)
    spec = {
        "model": model,
        **tuned_knob(knob),
        "knobs": dict(options.knob("--set", text, "KNOB=VALUE") for text in set_ or ()),
        "objective": objective,
        "scenario": scenario,
        "plan": plan,
        "rounds": rounds,
        "seed": seed,
        "label": label or None,
    }
    with labs.opened(server, cluster, user_code, plan) as lab:
        view = lab.tune(spec)
        ended = Ended(view, lab.stopped_by)
    return _report(server, ended, files)


def tuned_knob(text: str) -> dict[str, Any]:
    """Return `threads=1..32` as fields of a `TuningRequest`. Raises Invalid."""
    name, equals, values = text.partition("=")
    if not name or (equals and not values):
        raise Invalid(f"--knob: write {FORM}.")
    listed, low, high = parse_values(values) if equals else ((), None, None)
    return {"knob": name, "values": listed, "low": low, "high": high}


def _report(server: str | None, ended: Ended, files: dict[str, str]) -> int:
    """Write the JSON, show the tuning and what could not be written, and return the exit code."""
    from app.cli import remote, tuning_report

    problems: list[str] = []
    with remote.understood(server):
        if file := files.get("json"):
            problems = output.write("json", file, output.json_text(tuning_report.to_json(ended.view)))
        items = tuning_report.items(ended.view)
        code = tuning_report.exit_code(ended.view, ended.stopped_by)
    if "-" not in files.values():
        console.show(*items)
    sys.stdout.flush()
    console.errors(problems)
    return code or (FAILED if problems else OK)
