"""`threadlab run`: one load test of a fresh engine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import console, labs, options, output
from app.cli.exit_codes import FAILED, OK
from app.cli.help import ADVANCED, TARGET, Command
from app.cli.plan_options import with_plan
from app.cli.user_code import UserCode
from app.errors import Invalid

if TYPE_CHECKING:
    from app.schemas.run import RunView

EXPORTS = ("csv", "junit", "html", "perfetto")
Knobs = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KNOB=VALUE", help="A knob of the model. Repeatable.", rich_help_panel=TARGET
    ),
]
Successors = Annotated[
    list[str] | None,
    typer.Option(
        "--then",
        metavar="MODEL",
        help="Hot-swap to this model while the load continues. Repeatable.",
        autocompletion=options.complete_model,
        rich_help_panel=ADVANCED,
    ),
]


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(with_plan(run))


def run(
    plan: dict[str, Any],
    scenario: str | None,
    model: options.OptionalModel = None,
    command: options.Commands = None,
    app: options.App = None,
    app_dir: options.AppDir = None,
    app_env: options.AppEnv = None,
    set_: Knobs = None,
    then: Successors = None,
    server: options.Server = None,
    cluster: options.Cluster = None,
    label: options.Label = None,
    threshold: options.Thresholds = None,
    json: options.JsonFile = None,
    csv: options.CsvFile = None,
    junit: options.JunitFile = None,
    html: options.HtmlFile = None,
    perfetto: options.PerfettoFile = None,
) -> int:
    """Run one load test of a model, an external server or a command, and print its verdict."""
    user_code = UserCode(tuple(command or ()), app, app_dir, tuple(app_env or ()))
    targets = [*filter(None, [model]), *user_code.names]
    if len(targets) != 1:
        raise Invalid("Give either a MODEL or one --command.")
    if user_code.commands and user_code.app is not None:
        raise Invalid("--command and --app are two servers: give one of them, or compare them.")
    plan = user_code.plan(plan, scenario)
    files = output.check_writable(
        {"csv": csv, "junit": junit, "html": html, "perfetto": perfetto, "json": json}
    )
    spec = {
        "model": targets[0],
        "knobs": dict(options.knob("--set", text, "KNOB=VALUE") for text in set_ or ()),
        "scenario": scenario,
        "plan": plan | ({"trace": True} if perfetto else {}),
        "thresholds": threshold or [],
        "label": label or None,
        "then": [{"model": each} for each in then or ()],
    }
    with labs.opened(server, cluster, user_code, plan) as lab:
        view = lab.run(spec)
        problems = output.write_exports(files, output.run_exports(), lambda each: lab.export(each, view.id))
        stopped_by = lab.stopped_by
    if json:
        problems += output.write("json", json, output.json_text(output.run_json(view)))
    return _report(server, view, problems, stopped_by, is_shown="-" not in files.values())


def _report(
    server: str | None, view: RunView, problems: list[str], stopped_by: int | None, is_shown: bool
) -> int:
    """Show the run and what could not be written, and return the exit code."""
    from app.cli import remote, run_report
    from app.servers.from_shell import needs_shell

    with remote.understood(server):
        lines, code = run_report.lines(view), run_report.exit_code(view, stopped_by)
    if is_shown:
        console.show(*lines)
    sys.stdout.flush()
    console.errors(problems)
    if code == OK and is_shown and not server and not needs_shell(view):
        console.hint("threadlab serve", f"threadlab compare {view.model} blocking --trials 5")
    return code or (FAILED if problems else OK)
