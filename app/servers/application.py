"""A WSGI application of the user's own, from a command line of the shell (`--app module:callable`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import Invalid, shown
from app.servers.definition import ServerDefinition, fill

RESERVED = ("PYTHONPATH", "THREADLAB_")


@dataclass(frozen=True, slots=True)
class UserApplication:
    """An application that engines serve in place of the lab's work kinds.

    `name`: `module:callable`. `directory`: is searched for the module first; absolute, and the working
    directory. `ready_path`: an engine is ready when it responds to this path, with any status.
    `environment`: variables beside those that every engine or server gets.
    """

    name: str
    directory: Path
    ready_path: str
    environment: Mapping[str, str]

    def served_by(self, definition: ServerDefinition) -> ServerDefinition:
        """Return a server of WSGI applications with this one in place of the lab's."""
        values = {"wsgi": self.name, "wsgi_root": self.directory}
        own = {name: fill(value, values) for name, value in definition.environment.items()}
        return replace(
            definition,
            argv=tuple(fill(each, values) for each in definition.argv),
            environment=own,
            variables=self.environment,
            directory=str(self.directory),
            ready_path=self.ready_path,
            ready_status=None,
        )


def user_application(name: str, directory: str, variables: Sequence[str], ready_path: str) -> UserApplication:
    """Return the application. It is imported by the engines only. Raises Invalid.

    variables: `NAME=VALUE`, or `NAME` for a variable of the shell.
    """
    module, _, attribute = name.partition(":")
    if module.endswith(".py"):
        raise Invalid(f"--app: write {module.removesuffix('.py')}:{attribute}, the name of a module.")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise Invalid(f"--app: write MODULE:CALLABLE, such as shop.wsgi:application, not {shown(name)}.")
    path = Path(directory)
    if not path.is_dir():
        raise Invalid(f"--app-dir: {shown(directory)} is not a directory.")
    return UserApplication(name, path.resolve(), ready_path, dict(map(_variable, variables)))


def _variable(text: str) -> tuple[str, str]:
    """Return name and value. No error repeats the text: the value may be a secret."""
    name, equals, value = text.partition("=")
    if name.startswith(RESERVED):
        raise Invalid(f"--app-env: {' and '.join(RESERVED)}… are set by the lab.")
    if not name or not (equals or name in os.environ):
        raise Invalid("--app-env: write NAME=VALUE, or the NAME of a variable that this shell has exported.")
    return name, value if equals else os.environ[name]
