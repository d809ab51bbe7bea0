"""The command line as it has been declared: its commands, their options, and what arguments are parsed to."""

from __future__ import annotations

import re
import shlex
from typing import Any

import typer

from app.cli import main


def options_of_commands() -> dict[str, set[str]]:
    """Return the flags of every command."""
    group = main.command()
    context = typer.Context(group)
    return {
        name: {flag for param in each.get_params(context) for flag in param.opts if flag.startswith("-")}
        for name, each in group.commands.items()
    }


def parsed(name: str, *args: str) -> dict[str, Any]:
    """Return the options and arguments that a command gets from `args`. Raises as it does for bad ones."""
    with main.command().commands[name].make_context(name, [*args]) as context:
        return dict(context.params)


def example_arguments(line: str) -> list[str]:
    """Return the words after `threadlab` of a line of a shell, which may set variables and have pipes."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "x", line))
    return words[words.index("threadlab") + 1 :]
