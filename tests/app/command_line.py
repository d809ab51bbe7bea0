"""The command line as it has been declared: its commands, their options, and what arguments are parsed to."""

from __future__ import annotations

from typing import Any
from unittest import mock

import typer

from app.cli import main


def options_of_commands() -> dict[str, set[str]]:
    """Returns the flags of every command."""
    group = main.command()
    context = typer.Context(group)
    return {
        name: {flag for param in each.get_params(context) for flag in param.opts if flag.startswith("-")}
        for name, each in group.commands.items()
    }


def parsed(name: str, *args: str) -> dict[str, Any]:
    """Returns what a command is called with for these arguments. Raises as it does for bad ones."""
    command = main.command().commands[name]
    called: dict[str, Any] = {}
    with mock.patch.object(command, "callback", lambda **given: called.update(given) or 0):
        command.main([*args], prog_name=f"threadlab {name}", standalone_mode=False)
    return called
