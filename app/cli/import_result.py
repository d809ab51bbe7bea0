"""`threadlab import`: shows the result of wrk, oha or k6, beside a run of ours."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli import console
from app.cli.console import Column, Table
from app.cli.exit_codes import BAD_ARGUMENTS, OK
from app.cli.help import OTHER, TARGET, Command
from app.cli.options import check_server

if TYPE_CHECKING:
    from app.schemas.imported_result import ImportedFigures
    from app.schemas.run import RunView

Tool = Literal["wrk", "oha", "k6"]  # the readers of app/imports/parsers.py


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command("import", cls=Command, rich_help_panel=panel)(import_result)


def import_result(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The output of the tool; - for stdin.")],
    tool: Annotated[Tool, typer.Option(help="The tool that wrote it.", rich_help_panel=OTHER)],
    run: Annotated[
        int | None, typer.Option(metavar="ID", help="A run to compare it with.", rich_help_panel=TARGET)
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The lab that has the run (default: the local history).",
            callback=check_server,
            rich_help_panel=TARGET,
        ),
    ] = None,
) -> int:
    """Show the result of wrk, oha or k6, beside a run of the lab."""
    from app.cli import remote
    from app.imports import parsers

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        console.error(f"cannot read {file}: {getattr(error, 'strerror', error)}")
        return BAD_ARGUMENTS
    theirs = parsers.read(tool, text)
    ours = _run(run, server) if run is not None else None
    with remote.understood(server):
        items = _table(theirs.figures, ours)
    console.show(*items)
    return OK


def _run(id: int, server: str | None) -> RunView:
    """Return a run of the server or of the local history.

    Raises LabError: Unknown if there is no such run.
    """
    if server:
        from app.cli import remote

        return remote.get_run(server, id)
    from app.errors import Unknown
    from app.runs.queue import ID_MAX
    from app.settings import Settings
    from app.store.runs import RunStore

    with contextlib.closing(RunStore(Settings().database)) as store:
        view = store.get(id) if 0 < id <= ID_MAX else None
    if view is None:
        raise Unknown(f"There is no run {id}.")
    return view


def _table(theirs: ImportedFigures, ours: RunView | None) -> list[str | Table]:
    """Return the figures of the tool and of the run, and what is missing."""
    from app.imports import side_by_side

    rows = [(row.name, row.theirs, row.ours, row.ratio) for row in side_by_side.compare_figures(theirs, ours)]
    columns = [Column("", 16, is_number=False), Column(theirs.tool, 14)]
    if ours:
        columns += [Column(f"run {ours.id}", 14), Column(f"{theirs.tool} / run", 14)]
    items: list[str | Table] = [Table(tuple(columns), [row[: len(columns)] for row in rows])]
    if theirs.missing:
        items.append(theirs.missing)
    if ours and ours.verdict:
        items.append(f"Run {ours.id}: {ours.model}, {ours.plan_text}. {ours.verdict.title}.")
    return items
