"""What only a shell can name: servers by their commands, and an application. Pages and API cannot."""

from __future__ import annotations

from dataclasses import dataclass

from app.servers.application import UserApplication
from app.servers.definition import ServerDefinition


@dataclass(frozen=True, slots=True)
class FromShell:
    """`commands`: further servers. `application`: of models and WSGI servers; None: the work kinds."""

    commands: tuple[ServerDefinition, ...] = ()
    application: UserApplication | None = None


NOTHING = FromShell()
