"""`threadlab compare`: models under the same load, in interleaved trials, with a ranking."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli import console, options, output
from app.cli.exit_codes import FAILED, OK
from app.cli.help import TARGET, TIMING, Command
from app.cli.plan_options import with_plan

if TYPE_CHECKING:
    from app.schemas.comparison import ComparisonView

    Ended = tuple[ComparisonView, list[str], int | None]

Entries = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL:KNOB=VALUE,…",
        help="Models, with knobs or without. A model may be named several times. Default: all available.",
        autocompletion=options.complete_model,
    ),
]
View = Annotated[
    Literal["equal-rate", "ceiling"] | None,  # the keys of app/comparisons/entries.py VIEWS
    typer.Option(
        help="Compare by CPU per request at a fixed rate (equal-rate, the default), or by maximum throughput "
        "(ceiling).",
        rich_help_panel=TARGET,
    ),
]


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(with_plan(compare))


def compare(
    plan: dict[str, Any],
    scenario: str | None,
    models: Entries = None,
    server: options.Server = None,
    view: View = None,
    trials: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Trials of each model, interleaved: A B C A B C …",
            rich_help_panel=TIMING,
        ),
    ] = 1,
    label: options.Label = None,
    threshold: options.Thresholds = None,
    json: options.JsonFile = None,
    csv: options.CsvFile = None,
    junit: options.JunitFile = None,
    html: options.HtmlFile = None,
) -> int:
    """Compare models in interleaved trials."""
    files = output.check_writable({"csv": csv, "junit": junit, "html": html, "json": json})
    spec = {
        "models": [entry(text) for text in models or ()],
        "view": view,
        "trials": trials,
        "scenario": scenario,
        "plan": plan or None,
        "thresholds": threshold or [],
        "label": label or None,
    }
    return _report(server, _on(server, spec, files) if server else _here(spec, files), files)


def entry(text: str) -> dict[str, Any]:
    """Return `reactor-pool:workers=8,reply=reactor` as an entry of `Comparisons.submit`. Raises Invalid."""
    model, _, knobs = text.partition(":")
    parsed = (options.knob(text, each, "MODEL:KNOB=VALUE") for each in knobs.split(",") if each)
    return {"model": model, "knobs": dict(parsed)}


def _on(server: str, spec: dict[str, Any], files: dict[str, str]) -> Ended:
    """Compare on a remote lab."""
    from app.cli import in_process, remote
    from app.cli.progress import bar
    from app.report import comparison_exports

    spec["models"] = spec["models"] or in_process.available(remote.get_models(server))
    with remote.understood(server), bar() as drawn:
        view, stopped_by = remote.measure_comparison(server, spec, in_process.trial_reporter(drawn))
    fetch = lambda export: remote.get_export(server, view.id, export.name, export.noun)  # noqa: E731
    return view, output.write_exports(files, comparison_exports.FLAGS, fetch), stopped_by


def _here(spec: dict[str, Any], files: dict[str, str]) -> Ended:
    """Compare by a lab in this process."""
    from app.cli import in_process
    from app.report import comparison_exports

    problems: list[str] = []
    view, stopped_by = in_process.measure_comparison(
        spec,
        lambda lab, id: problems.extend(
            output.write_exports(files, comparison_exports.FLAGS, lambda export: export.make(lab, id))
        ),
    )
    return view, problems, stopped_by


def _report(server: str | None, ended: Ended, files: dict[str, str]) -> int:
    """Write the JSON, show the comparison and what could not be written, and return the exit code."""
    from app.cli import comparison_report, remote
    from app.comparisons import ranking
    from app.report import comparison_exports

    view, problems, stopped_by = ended
    if file := files.get("json"):
        problems = problems + output.write("json", file, output.json_text(comparison_exports.to_json(view)))
    with remote.understood(server):
        items, code = comparison_report.items(view), comparison_report.exit_code(view, stopped_by)
    if "-" not in files.values():
        console.show(*items)
        if code == OK and view.trials < ranking.TRIALS_FOR_TEST:
            console.hint(
                f"repeat with --trials {ranking.TRIALS_FOR_TEST}, to tell models apart that differ by "
                f"{100 * ranking.GAP_WITH_TEST:.0f} % (fewer trials: {100 * ranking.GAP_FEW_TRIALS:.0f} %)"
            )
    sys.stdout.flush()
    console.errors(problems)
    return code or (FAILED if problems else OK)
