"""The external servers that can be started: those of the catalogue, checked against this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.errors import NotNow, Unknown, shown
from app.fleet.knobs import parse_given
from app.schemas.model import KnobView
from app.schemas.server import ServerView
from app.servers.catalogue import BUILT_IN, load_catalogue
from app.servers.definition import GRACE, ServerDefinition, fill
from app.servers.installed import unavailable_reason
from engines.common.contract import Knob

APPLICATIONS = BUILT_IN.with_name("apps")


@dataclass(frozen=True)
class Servers:
    """All external servers by name. Thread-safe: immutable.

    python: the interpreter of the engines, in which the Python servers are searched.
    """

    definitions: dict[str, ServerDefinition]
    python: str

    @classmethod
    def load(cls, own: Path | None, models: Mapping[str, object], python: str) -> Servers:
        """Return the built-in servers and those of the operator's file `own`. Raises BadCatalogue."""
        return cls(load_catalogue(own, models), python)

    def extended(self, definitions: Iterable[ServerDefinition]) -> Servers:
        """Return these servers and further ones."""
        return Servers(self.definitions | {each.name: each for each in definitions}, self.python)

    def definition(self, name: str) -> ServerDefinition:
        """Return a server. Raises Unknown."""
        if name not in self.definitions:
            raise Unknown(f"There is no server {shown(name)}; there are {', '.join(self.definitions)}.")
        return self.definitions[name]

    @cached_property
    def _knobs(self) -> dict[str, tuple[KnobView, ...]]:
        return {
            name: tuple(map(_knob_view, definition.all_knobs))
            for name, definition in self.definitions.items()
        }

    def view(self, name: str) -> ServerView:
        """Return a server as it is shown, and whether it is installed now. Raises Unknown.

        Blocks for some milliseconds.
        """
        made = self.definition(name)
        reason = unavailable_reason(made, self.python)
        return ServerView(
            name=name,
            title=made.title,
            model=made.model,
            summary=made.summary,
            argv=made.argv,
            knobs=self._knobs[name],
            kinds=made.kinds,
            available=reason is None,
            unavailable_reason=reason,
            install=self._install(made),
            link=made.link,
        )

    def application(self, name: str) -> tuple[str, str] | None:
        """Return name and source of the application that a server serves; None: not known. Raises Unknown."""
        source = self.definition(name).source
        path = APPLICATIONS / source
        return (source, path.read_text(encoding="utf-8")) if source and path.is_file() else None

    def views(self) -> list[ServerView]:
        """Return all servers as they are shown. Blocks for some milliseconds."""
        return [self.view(name) for name in self.definitions]

    def parse_knobs(self, name: str, given: Mapping[str, object]) -> dict[str, int | str]:
        """Return all knobs of a server: `given` values over the defaults.

        Raises Unknown for the server, and Invalid with a problem for each wrong knob.
        """
        return parse_given(self.definition(name).parse_knobs, given)

    def require_available(self, name: str) -> None:
        """Raise NotNow if a server cannot be started on this machine. Blocks for some milliseconds."""
        made = self.definition(name)
        if reason := unavailable_reason(made, self.python):
            install = f" Install it with: {self._install(made)}" if made.install else ""
            raise NotNow(f"{name} is not available here: {reason}{install}")

    def _install(self, made: ServerDefinition) -> str:
        """Return the command that installs a server, into the interpreter in which it is searched."""
        return fill(made.install, {"python": self.python})


def _knob_view(knob: Knob) -> KnobView:
    return KnobView(
        knob.name,
        knob.default,
        knob.minimum,
        knob.maximum,
        knob.unit,
        knob.choices,
        knob.help,
        common=knob is GRACE,
    )
