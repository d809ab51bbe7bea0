"""A server of the user's own, from a command line of the shell (`--command`)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from app.errors import Invalid, shown
from app.servers.definition import ServerDefinition, placeholders

NAME = "command"  # of the first one; the others are command-2, command-3 …


def user_commands(texts: Sequence[str], directory: Path, ready_path: str) -> list[ServerDefinition]:
    """Return a definition for each command line. Raises Invalid for one that cannot be used.

    A command line is split as a shell would, but no shell reads it. It runs in `directory`, and it is ready
    when it answers `ready_path`, with any status.
    """
    names = command_names(len(texts))
    return [_definition(text, name, directory, ready_path) for text, name in zip(texts, names, strict=True)]


def command_names(count: int) -> list[str]:
    """Return the names of so many commands."""
    return [NAME if number == 1 else f"{NAME}-{number}" for number in range(1, count + 1)]


def is_command(name: str) -> bool:
    """Return whether a name is that of a command."""
    return name == NAME or name.startswith(f"{NAME}-")


def _definition(text: str, name: str, directory: Path, ready_path: str) -> ServerDefinition:
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise Invalid(f"--command: {shown(text)} cannot be split into arguments: {error}.") from None
    if not argv:
        raise Invalid("--command is empty.")
    if not {"port", "address"} & set().union(*map(placeholders, argv)):
        raise Invalid(
            f"--command: {shown(text)} must contain {{port}} or {{address}}: the lab chooses a free port."
        )
    return ServerDefinition(
        name=name,
        title=Path(argv[0]).name,
        argv=argv,
        directory=str(directory),
        ready_path=ready_path,
        ready_status=None,
    )
