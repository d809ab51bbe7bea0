"""`threadlab engine`: becomes one engine, with no lab around it."""

from __future__ import annotations

import os
from typing import Annotated, NoReturn

import typer

from app.cli.help import Command
from app.cli.models import engine_python
from app.cli.options import Model

COMMAND = "threadlab engine"  # as help and errors of the engine name it
# What follows the model is passed to the engine, also --help.
AS_THEY_ARE = {"allow_interspersed_args": False, "ignore_unknown_options": True}


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel, context_settings=AS_THEY_ARE)(engine)


def engine(
    model: Model,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARGUMENT",
            help="--host, --port, --set KNOB=VALUE: `threadlab engine MODEL --help` lists them.",
        ),
    ] = None,
) -> NoReturn:
    """Run one engine in the foreground, without a lab."""
    from app.machine.child_environment import engine_environment

    python = engine_python()
    words = [python, "-P", "-m", "engines", "--command", COMMAND, model, *(arguments or [])]
    has_application = any(word.partition("=")[0] == "--app" for word in words)
    shell = _shell_environment() if has_application else {}
    os.execve(python, words, shell | engine_environment())


def _shell_environment() -> dict[str, str]:
    """Return the variables of the shell without the lab's settings, for the user's own application."""
    return {name: value for name, value in os.environ.items() if not name.startswith("THREADLAB_")}
