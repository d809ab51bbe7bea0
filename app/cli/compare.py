"""`threadlab compare`: models under the same load, in rounds of random order, with a ranking."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli import console, labs, options, output
from app.cli.exit_codes import FAILED, NO_ANSWER, OK
from app.cli.help import TARGET, TIMING, Command
from app.cli.plan_options import with_plan
from app.cli.user_code import UserCode
from app.statistics.decision import ROUNDS

if TYPE_CHECKING:
    from app.schemas.comparison import ComparisonView

Entries = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL:KNOB=VALUE,…",
        help="Models and external servers, with knobs or without, also several times. Default: all models.",
        autocompletion=options.complete_model,
    ),
]
View = Annotated[
    Literal["equal-rate", "ceiling"] | None,  # the keys of app/comparisons/entries.py VIEWS
    typer.Option(
        help="Compare by CPU per request at a fixed rate (equal-rate, the default), or by maximum throughput "
        "(ceiling, the default for --app and --command).",
        rich_help_panel=TARGET,
    ),
]


@dataclass(frozen=True, slots=True)
class Ended:
    """A comparison that has ended, what could not be written, and the signal that stopped it early."""

    view: ComparisonView
    problems: list[str]
    stopped_by: int | None


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(with_plan(compare))


def compare(
    plan: dict[str, Any],
    scenario: str | None,
    models: Entries = None,
    command: options.Commands = None,
    app: options.App = None,
    app_dir: options.AppDir = None,
    app_env: options.AppEnv = None,
    server: options.Server = None,
    cluster: options.Cluster = None,
    view: View = None,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            "--trials",
            metavar="N",
            help="Rounds; each measures every model once, in random order. Fewer than 7 give no places.",
            rich_help_panel=TIMING,
        ),
    ] = ROUNDS,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Seed of the random order, to repeat it. Default: a new one.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    label: options.Label = None,
    threshold: options.Thresholds = None,
    json: options.JsonFile = None,
    csv: options.CsvFile = None,
    junit: options.JunitFile = None,
    html: options.HtmlFile = None,
) -> int:
    """Compare models and servers in rounds of random order."""
    user_code = UserCode(tuple(command or ()), app, app_dir, tuple(app_env or ()))
    plan = user_code.plan(plan, scenario)
    files = output.check_writable({"csv": csv, "junit": junit, "html": html, "json": json})
    spec = {
        "models": [entry(text) for text in (*(models or ()), *user_code.names)],
        "view": view or _default_view(user_code, plan, scenario),
        "rounds": rounds,
        "seed": seed,
        "scenario": scenario,
        "plan": plan or None,
        "thresholds": threshold or [],
        "label": label or None,
    }
    opened = labs.opened(server, cluster, user_code, plan)
    return _report(server, _measured(opened, spec, files), files)


def _default_view(user_code: UserCode, plan: dict[str, Any], scenario: str | None) -> str | None:
    """Return the view without a rate for code of the user, of which no rate is known; None: the lab's."""
    has_load = scenario or plan.keys() & {"rate_per_s", "executor"}
    return "ceiling" if user_code.is_given and not has_load else None


def entry(text: str) -> dict[str, Any]:
    """Return `reactor-pool:workers=8,reply=reactor` as an entry of `Comparisons.submit`. Raises Invalid."""
    model, _, knobs = text.partition(":")
    parsed = (options.knob(text, each, "MODEL:KNOB=VALUE") for each in knobs.split(",") if each)
    return {"model": model, "knobs": dict(parsed)}


def _measured(
    opened: AbstractContextManager[labs.MeasuringLab], spec: dict[str, Any], files: dict[str, str]
) -> Ended:
    """Compare, and write the exports."""
    from app.report.comparison_exports import FLAGS

    with opened as lab:
        view = lab.compare({**spec, "models": spec["models"] or lab.available_models()})
        problems = output.write_exports(files, FLAGS, lambda each: lab.export(each, view.id))
        return Ended(view, problems, lab.stopped_by)


def _report(server: str | None, ended: Ended, files: dict[str, str]) -> int:
    """Write the JSON, show the comparison and what could not be written, and return the exit code."""
    from app.cli import comparison_report, remote
    from app.report import comparison_exports

    view, problems = ended.view, ended.problems
    if file := files.get("json"):
        problems = problems + output.write("json", file, output.json_text(comparison_exports.to_json(view)))
    with remote.understood(server):
        items, code = comparison_report.items(view), comparison_report.exit_code(view, ended.stopped_by)
    if "-" not in files.values():
        console.show(*items)
        if code in (OK, NO_ANSWER) and view.trials < ROUNDS:
            console.hint(f"repeat with --rounds {ROUNDS} for a ranking: fewer rounds show a tendency")
    sys.stdout.flush()
    console.errors(problems)
    return code or (FAILED if problems else OK)
