"""What an engine can be started of: the models of the lab and the external servers, by one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import Unknown, shown
from app.fleet.models import Models
from app.fleet.servers import Servers
from app.load.protocol.plan import APP, HTTP, HTTP_KINDS, KINDS
from app.servers.application import UserApplication
from app.servers.commands import is_command
from app.servers.definition import ServerDefinition
from app.servers.from_shell import FromShell
from engines.common.contract import application_knobs


@dataclass(frozen=True)
class Launchables:
    """All models and external servers; no server has the name of a model. Thread-safe: immutable."""

    models: Models
    servers: Servers
    application: UserApplication | None = None  # what engines serve in place of the work kinds

    @classmethod
    def load(cls, servers: Path | None, python: str) -> Launchables:
        """Return the models of the interpreter `python`, and the servers with those of the file `servers`.

        Blocks for about 0.5 s. Raises LabError.
        """
        models = Models.load(python)
        return cls(models, Servers.load(servers, models.views, python))

    @property
    def application_fact(self) -> dict[str, str]:
        """The user's application as a fact of an environment; empty if there is none."""
        if not self.application:
            return {}
        return {"application": f"{self.application.name} in {self.application.directory}"}

    def with_shell(self, shell: FromShell) -> Launchables:
        """Return the same with what a shell has named."""
        return replace(self, servers=self.servers.extended(shell.commands), application=shell.application)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.models.views, *self.servers.definitions)

    @property
    def available_names(self) -> tuple[str, ...]:
        """The names of what can be started on this machine."""
        models = (view.name for view in self.models.views.values() if view.available)
        return (*models, *(view.name for view in self.servers.views() if view.available))

    def is_external(self, name: str) -> bool:
        """Return whether a name is that of an external server."""
        return name in self.servers.definitions

    def require(self, name: str) -> None:
        """Raise Unknown if there is neither a model nor a server of this name."""
        if name not in self.names:
            if is_command(name):
                raise Unknown(
                    f"{name} was started from a shell with --command. A page or the API cannot start it."
                )
            servers = ", ".join(self.servers.definitions)
            raise Unknown(
                f"There is no model {shown(name)}; there are {', '.join(self.models.views)}, "
                f"and the external servers {servers}."
            )

    @property
    def wsgi_servers(self) -> tuple[str, ...]:
        """The external servers that can serve a WSGI application."""
        return tuple(name for name, each in self.servers.definitions.items() if each.is_wsgi)

    def served_kinds(self, name: str) -> tuple[str, ...]:
        """Return the work kinds that an engine of this model or server serves; empty: not the application.

        Raises Unknown.
        """
        self.require(name)
        definition = self.servers.definitions.get(name)
        if self.application and is_command(name):
            return HTTP_KINDS
        if self.application:
            return (APP,) if definition is None or definition.is_wsgi else ()
        if definition:
            return (*definition.kinds, HTTP)
        return tuple(kind for kind in KINDS if kind != APP)

    def definition(self, name: str) -> ServerDefinition:
        """Return an external server as it is to be started. Raises Unknown."""
        definition = self.servers.definition(name)
        if self.application and definition.is_wsgi:
            return self.application.served_by(definition)
        return definition

    def title(self, name: str) -> str:
        """Return the title of a model or server. Raises Unknown."""
        self.require(name)
        if self.is_external(name):
            return self.servers.definition(name).title
        return self.models.get(name).title

    def hue(self, name: str) -> str:
        """Return the model whose colour a model or server has on pages; a name that is not known any more."""
        return self.servers.definition(name).model if self.is_external(name) else name

    def parse_knobs(self, name: str, given: Mapping[str, object]) -> dict[str, int | str]:
        """Return all knobs: `given` values over the defaults.

        Raises Unknown for the name, and Invalid with a problem for each wrong knob.
        """
        self.require(name)
        if self.is_external(name):
            return self.servers.parse_knobs(name, given)
        if self.application:
            given = {**application_knobs(self.models.contracts[name]), **given}
        return self.models.parse_knobs(name, given)

    def require_available(self, name: str) -> None:
        """Raise NotNow if it cannot be started on this machine."""
        self.require(name)
        (self.servers if self.is_external(name) else self.models).require_available(name)
