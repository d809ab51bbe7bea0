"""`threadlab experiment`: test claims of the literature on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import console, labs, options, output
from app.cli.exit_codes import BAD_ARGUMENTS, FAILED, OK
from app.cli.help import TARGET, TIMING, Command
from app.cli.plan_options import flags_in_errors
from app.errors import Invalid

if TYPE_CHECKING:
    from app.schemas.experiment import ExperimentView

Claims = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLAIM…",
        help="Claims by id, such as reactor-stalls. Without any, all claims are listed.",
    ),
]


def _flag(name: str, help: str, panel: str) -> Any:
    return typer.Option(name, help=help, rich_help_panel=panel)


@dataclass(frozen=True, slots=True)
class Ended:
    """Experiments that have ended, and the signal that stopped them early."""

    views: list[ExperimentView]
    stopped_by: int | None


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(experiment)


def experiment(
    claims: Claims = None,
    article: Annotated[bool, _flag("--article", "Test every claim of the article.", TARGET)] = False,
    all_claims: Annotated[bool, _flag("--all", "Test every claim.", TARGET)] = False,
    resume: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            help="Continue an experiment that ended early; it keeps its complete rounds.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    server: options.Server = None,
    cluster: options.Cluster = None,
    quick: Annotated[
        bool, _flag("--quick", "Three short rounds: shows a tendency and no answer.", TIMING)
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Valid rounds of each ratio, 1 to 9. Default: 7, and 9 if 7 do not decide.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of the random orders. Default: a new one.", rich_help_panel=TIMING
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="ANSWER",
            help="The answer of every claim: holds, does_not_hold, no_difference or too_close. Exit code 3 "
            "if one differs.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    label: options.Label = None,
    json: options.JsonFile = None,
    csv: options.CsvFile = None,
    junit: options.JunitFile = None,
    html: options.HtmlFile = None,
) -> int:
    """Test claims about thread models on this machine."""
    files = output.check_writable({"csv": csv, "junit": junit, "html": html, "json": json})
    chosen = [bool(claims), article, all_claims, resume is not None]
    if sum(chosen) > 1:
        raise Invalid("Give either claims, --article, --all or --resume.")
    if not any(chosen):
        return _list(server)
    spec = {
        "claims": claims or [],
        "which": "article" if article else "all" if all_claims else None,
        "rounds": rounds,
        "quick": quick,
        "prediction": expect,
        "seed": seed,
        "label": label or None,
    }
    flags = {"rounds": "--rounds", "seed": "--seed", "prediction": "--expect"}
    with flags_in_errors(flags), labs.opened(server, cluster) as lab:
        views = [lab.resume_experiment(resume)] if resume is not None else lab.experiment(spec)
        ended = Ended(views, lab.stopped_by)
    return _report(server, ended, files)


def _list(server: str | None) -> int:
    """List all claims with their last answers. The exit code is 2: no claim was named."""
    from app.cli import experiment_report, remote

    with labs.opened(server) as lab:
        claims = lab.claims()
    with remote.understood(server):
        console.show(experiment_report.claim_table(claims))
    console.error("name claims to test, or use --article or --all.")
    return BAD_ARGUMENTS


def _report(server: str | None, ended: Ended, files: dict[str, str]) -> int:
    """Write the files, show the answers and what could not be written, and return the exit code."""
    from app.cli import experiment_report, remote
    from app.report import experiment_exports, experiment_junit

    with remote.understood(server):
        texts = {
            "json": lambda: output.json_text(
                {"experiments": [experiment_exports.to_json(view) for view in ended.views]}
            ),
            "csv": lambda: experiment_exports.write_csv(ended.views),
            "html": lambda: experiment_exports.write_html(ended.views),
            "junit": lambda: experiment_junit.write(ended.views),
        }
        written = (output.write(option, file, texts[option]()) for option, file in files.items())
        problems = [problem for each in written for problem in each]
        items = experiment_report.items(ended.views)
        code = experiment_report.exit_code(ended.views, ended.stopped_by)
    if "-" not in files.values():
        console.show(*items)
        early = (view for view in ended.views if view.state in ("stopped", "failed") and view.rounds)
        if view := next(early, None):
            console.hint(f"threadlab experiment --resume {view.id}")
    sys.stdout.flush()
    console.errors(problems)
    return code or (FAILED if problems else OK)
