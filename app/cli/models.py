"""`threadlab models`: lists the models with their knobs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import console
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import OK
from app.cli.help import OUTPUT, Command

if TYPE_CHECKING:
    from app.schemas.model import KnobView, ModelView

NAME_WIDTH = 14
COLUMNS = tuple(Column(title, NAME_WIDTH, False) for title in ("Model", "Summary", "Knobs and defaults"))
COMMON_COLUMNS = (
    Column("Knobs of all models", 21, False),
    Column("Default", 7),
    Column("Allowed", 14, False),
    Column("", 0, False),
)
OWN_KNOBS = "threadlab engine MODEL --help describes the knobs of a model."


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(models)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """List the models with their knobs and defaults."""
    from app.fleet.models import describe

    views = list(describe(engine_python()).values())
    if as_json:
        console.show_raw(json.dumps([asdict(view) for view in views], indent=2))
        return OK
    if console.is_rich(sys.stdout):
        console.show(Table(COLUMNS, [(Styled(v.name, "bold"), _summary(v), _knobs(v, "\n")) for v in views]))
    else:
        console.show(*(line for view in views for line in _lines(view)), "")
    console.show(_common(views[0].knobs), OWN_KNOBS)
    console.hint("threadlab run reactor", "threadlab compare --trials 5")
    return OK


def engine_python() -> str:
    """Return the interpreter of the engines, as Settings does, without the import of pydantic."""
    environment = {name.lower(): value for name, value in os.environ.items()}
    return environment.get("threadlab_engine_python", sys.executable)


def _lines(view: ModelView) -> tuple[str, str]:
    return f"{view.name:{NAME_WIDTH}}{_summary(view)}", f"{'':{NAME_WIDTH}}{_knobs(view, '  ')}"


def _summary(view: ModelView) -> str:
    return view.summary if view.available else f"{view.summary}  (not available: {view.unavailable_reason})"


def _knobs(view: ModelView, between: str) -> str:
    """Return the model's own knobs with their defaults."""
    return between.join(f"{knob.name}={knob.default}" for knob in view.knobs if not knob.common) or "none"


def _common(knobs: Iterable[KnobView]) -> Table:
    """Return the knobs that every model has."""
    from app.fleet.models import contract_of

    rows = [(k.name, str(k.default), contract_of(k).bounds, k.help) for k in knobs if k.common]
    return Table(COMMON_COLUMNS, rows)
