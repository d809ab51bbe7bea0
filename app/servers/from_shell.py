"""What only a shell can name: servers by their commands, and an application. Pages and API cannot."""

from __future__ import annotations

from dataclasses import dataclass

from app.schemas.run import RunView
from app.servers.application import UserApplication
from app.servers.commands import is_command
from app.servers.definition import ServerDefinition


@dataclass(frozen=True, slots=True)
class FromShell:
    """`commands`: further servers. `application`: of models and WSGI servers; None: the work kinds."""

    commands: tuple[ServerDefinition, ...] = ()
    application: UserApplication | None = None


NOTHING = FromShell()


def needs_shell(run: RunView) -> bool:
    """Return whether only a shell can repeat a run, because it served code of the user."""
    return is_command(run.model) or "application" in run.environment
