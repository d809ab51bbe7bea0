"""`threadlab models`: lists the models with their knobs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from app.cli import console
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import OK
from app.cli.help import Command

if TYPE_CHECKING:
    from app.schemas.model import ModelView

NAME_WIDTH = 14


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(models)


def models() -> int:
    """List the models with their knobs and defaults."""
    from app.fleet.models import describe

    views = describe(engine_python()).values()
    if console.is_rich(sys.stdout):
        columns = tuple(
            Column(title, NAME_WIDTH, False) for title in ("Model", "Summary", "Knobs and defaults")
        )
        console.show(Table(columns, [(Styled(v.name, "bold"), _summary(v), _knobs(v, "\n")) for v in views]))
        console.hint("threadlab run reactor", "threadlab compare --trials 5")
        return OK
    for view in views:
        console.show(
            f"{view.name:{NAME_WIDTH}}{_summary(view)}", f"{'':{NAME_WIDTH}}{_knobs(view, '  ')}".rstrip()
        )
    return OK


def engine_python() -> str:
    """Return the interpreter of the engines, as Settings does, without the import of pydantic."""
    environment = {name.lower(): value for name, value in os.environ.items()}
    return environment.get("threadlab_engine_python", sys.executable)


def _summary(view: ModelView) -> str:
    return view.summary if view.available else f"{view.summary}  (not available: {view.unavailable_reason})"


def _knobs(view: ModelView, between: str) -> str:
    return between.join(f"{knob.name}={knob.default}" for knob in view.knobs if not knob.common)
