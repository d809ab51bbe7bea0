"""The command line as it has been declared: its commands, their options, and what arguments are parsed to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from app.cli import main


def options_of_commands() -> dict[str, set[str]]:
    """Return the flags of every command; the name of one in a group has two words, such as "cluster up"."""
    group = main.command()
    context = typer.Context(group)
    return {
        name: {flag for param in each.get_params(context) for flag in param.opts if flag.startswith("-")}
        for name, each in commands_of(group)
    }


def commands_of(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the commands and groups of a group with their names, and what is in these groups."""
    for name, each in group.commands.items():
        yield f"{before}{name}", each
        if hasattr(each, "commands"):
            yield from commands_of(each, f"{before}{name} ")


def command_name(words: list[str]) -> str:
    """Return the name of the command that these words call: the first one, or the first two of a group."""
    group = main.command().commands.get(words[0])
    return " ".join(words[:2]) if hasattr(group, "commands") else words[0]


def parsed(name: str, *args: str) -> dict[str, Any]:
    """Return the options and arguments that a command gets from `args`. Raises as it does for bad ones."""
    with dict(commands_of(main.command()))[name].make_context(name, [*args]) as context:
        return dict(context.params)


def example_arguments(line: str) -> list[str]:
    """Return the words after `threadlab` of a line of a shell, which may set variables and have pipes."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "x", line))
    return words[words.index("threadlab") + 1 :]
