"""`threadlab servers`: lists the external servers, with their knobs and how to install a missing one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import console
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import OK
from app.cli.help import OUTPUT, Command
from app.cli.models import engine_python

if TYPE_CHECKING:
    from app.fleet.servers import Servers
    from app.schemas.server import ServerView

NAME_WIDTH = 14
COLUMNS = tuple(Column(title, NAME_WIDTH, False) for title in ("Server", "Summary", "Knobs and defaults"))


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(servers)


def servers(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """List the external servers with their knobs and defaults."""
    views = load_servers().views()
    if as_json:
        console.show_raw(json.dumps([asdict(view) for view in views], indent=2))
        return OK
    if console.is_rich(sys.stdout):
        console.show(Table(COLUMNS, [(Styled(v.name, "bold"), _summary(v), _knobs(v, "\n")) for v in views]))
    else:
        console.show(*(line for view in views for line in _lines(view)))
    console.hint("threadlab run gunicorn --set workers=4", "threadlab compare reactor uvicorn")
    return OK


def load_servers() -> Servers:
    """Return the servers of the catalogue files. Raises BadCatalogue."""
    from app.fleet.models import describe
    from app.fleet.servers import Servers

    environment = {name.lower(): value for name, value in os.environ.items()}
    own = environment.get("threadlab_servers")
    python = engine_python()
    return Servers.load(Path(own) if own else None, describe(python), python)


def _lines(view: ServerView) -> tuple[str, str]:
    return f"{view.name:{NAME_WIDTH}}{_summary(view)}", f"{'':{NAME_WIDTH}}{_knobs(view, '  ')}"


def _summary(view: ServerView) -> str:
    if view.available:
        return view.summary
    install = f" Install it with: {view.install}" if view.install else ""
    return f"{view.summary}  (not available: {view.unavailable_reason}{install})"


def _knobs(view: ServerView, between: str) -> str:
    return between.join(f"{knob.name}={knob.default}" for knob in view.knobs if not knob.common) or "none"
