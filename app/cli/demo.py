"""`threadlab demo`: all models by maximum throughput, and then by CPU per request at a fixed rate.

These are two comparisons. On few cores the load generator limits the throughput of plaintext, so the table
that counts is the second one, at half of the lowest throughput of the first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import console, labs, options, output
from app.cli.console import Styled, Table
from app.cli.exit_codes import FAILED, OK, SIGNALLED
from app.cli.help import TIMING, Command
from app.cli.plan_options import flags_in_errors

if TYPE_CHECKING:
    from app.cli.labs import MeasuringLab
    from app.schemas.comparison import ComparisonView
    from app.schemas.run import RunView

SECONDS = 4.0
WARMUP_S = 1.0
CONNECTIONS = 64
SHARE_OF_SLOWEST = 0.5  # of the lowest maximum: a rate that every model achieves with a margin
RATE_MAX = 10_000  # req/s; above it the timers of the load generator cost more than the requests
CEILING = {"executor": "constant-vus"}


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(demo)


def demo(
    server: options.Server = None,
    seconds: Annotated[
        float,
        typer.Option(metavar="S", help="Measured seconds of each run.", rich_help_panel=TIMING),
    ] = SECONDS,
    json: options.JsonFile = None,
) -> int:
    """Measure all models and print two tables with verdicts."""
    from app.cli import remote

    files = output.check_writable({"json": json})
    with flags_in_errors({"duration_s": "--seconds"}), remote.understood(server):
        with labs.opened(server) as lab:
            comparisons = measure(lab, seconds)
            shown = Shown(comparisons, runs_of(lab, comparisons), lab.stopped_by)
        return report(shown, files.get("json"))


@dataclass(frozen=True, slots=True)
class Shown:
    """The comparisons that were made, with their runs, and the signal that stopped the demo."""

    comparisons: tuple[ComparisonView, ...]
    runs: tuple[list[RunView], ...]
    stopped_by: int | None = None


def measure(lab: MeasuringLab, seconds: float) -> tuple[ComparisonView, ...]:
    """Compare by maximum throughput, and then at half of the lowest; return both comparisons.

    If the first was stopped or measured nothing, it returns the first only.
    """
    models = lab.available_models()
    load = {"vus": CONNECTIONS, "duration_s": seconds, "warmup_s": WARMUP_S}
    spec = {"models": models, "rounds": 1, "view": "ceiling", "plan": load | CEILING}
    spec["label"] = "Demo: max throughput"
    ceiling = lab.compare(spec)
    rates = [trial.achieved_per_s for trial in ceiling.runs if trial.achieved_per_s]
    if not rates or ceiling.state != "finished":
        return (ceiling,)
    rate = float(min(RATE_MAX, int(SHARE_OF_SLOWEST * min(rates) / 100) * 100 or 100))
    plan = load | {"executor": "constant-arrival-rate", "rate_per_s": rate}
    spec |= {"view": "equal-rate", "plan": plan, "label": "Demo: fixed rate"}
    return ceiling, lab.compare(spec)


def report(shown: Shown, json_file: str | None) -> int:
    """Write the JSON, show the tables, and return the exit code: 0, 1 if a run failed, or 128 + signal."""
    problems = []
    if json_file:
        runs = [[output.run_json(run) for run in each] for each in (*shown.runs, [])]
        both = {"ceiling": runs[0], "equal_rate": runs[1]}
        problems = output.write("json", json_file, output.json_text(both))
    if json_file != "-":
        console.show(*_items(shown.comparisons))
    sys.stdout.flush()
    if len(shown.comparisons) < 2 or shown.comparisons[-1].state == "stopped":
        sys.stderr.write("The demo was stopped, or nothing was measured.\n")
    console.errors(problems)
    if shown.stopped_by is not None:
        return SIGNALLED + shown.stopped_by
    is_whole = len(shown.comparisons) == 2 and all(_is_good(run) for each in shown.runs for run in each)
    if is_whole:
        console.hint("threadlab compare", "threadlab serve")
    return OK if is_whole and not problems else FAILED


def _items(comparisons: tuple[ComparisonView, ...]) -> list[str | Table]:
    from app.cli import comparison_report

    titles = ("Max throughput", "CPU per request at a fixed rate")
    items: list[str | Table] = []
    for title, view in zip(titles, comparisons, strict=False):
        items += [Styled(f"{title} ({view.plan_text})", "bold")]
        if view.result:
            items += [comparison_report.table(view), "", *view.result.said]
        items += [Styled(f"Failed: {view.failure}", "red")] if view.failure else []
        items.append("")
    return items[:-1]


def _is_good(run: RunView) -> bool:
    return bool(run.summary and run.summary.requests and not run.summary.errors and run.verdict)


def runs_of(lab: MeasuringLab, comparisons: tuple[ComparisonView, ...]) -> tuple[list[RunView], ...]:
    """Return the runs of each comparison."""
    return tuple([lab.get_run(trial.run) for trial in view.runs] for view in comparisons)
