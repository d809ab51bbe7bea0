"""The definition of an external server: its command, its knobs, and what it needs."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.common.contract import BadKnob, Knob

# Placeholders that every command may use, besides the names of its knobs.
PLACEHOLDERS = (
    "host",
    "port",
    "address",
    "python",
    "apps",
    "root",
    "directory",
    "grace_s",
    "wsgi",
    "wsgi_root",
)
WSGI = "app.servers.apps.wsgi_app:application"  # {wsgi}, unless the user has given an application
_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*+)\}")
GRACE_S = 5
GRACE = Knob("grace_s", GRACE_S, "Time to finish requests in flight when the server stops.", 0, 600, "s")


@dataclass(frozen=True, slots=True)
class ServerDefinition:
    """An external server. `argv`, `environment` and `files` may contain placeholders such as `{port}`.

    - `model`: the thread model that it has, a name of the lab's models, or empty.
    - `argv`: the command, a list: no shell reads it.
    - `environment`: variables beside the few that every server gets. `variables`: further ones, without
      placeholders.
    - `directory`: working directory; empty: a temporary one, which `{directory}` is in any case.
    - `files`: contents of files to write into the temporary directory, by name.
    - `ready_path`: what is requested to find out whether it is ready. `ready_status`: the status that the
      response must have; None: any.
    - `kinds`: work kinds that it serves, besides `http`.
    - `modules`: Python modules that must be installed. `version_of`: the distribution whose version is shown.
    - `version_argv`: a command that prints the version.
    - `install`: the one command that installs it; may contain `{python}`.
    - `stop_signal`: what asks it to stop.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    model: str = ""
    summary: str = ""
    link: str = ""
    install: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    knobs: tuple[Knob, ...] = ()
    ready_path: str = "/healthz"
    ready_status: int | None = 200
    kinds: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    version_of: str = ""
    version_argv: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    source: str = ""  # the application's file, shown on its page

    @property
    def is_wsgi(self) -> bool:
        """Whether it can serve any WSGI application."""
        return "wsgi" in set().union(*map(placeholders, self.argv))

    @property
    def stop_number(self) -> int:
        """The number of the stop signal."""
        return signal.Signals[self.stop_signal]

    @property
    def all_knobs(self) -> tuple[Knob, ...]:
        """Its knobs, and the one that every server has."""
        return (*self.knobs, GRACE)

    def parse_knobs(self, given: Mapping[str, object]) -> dict[str, int | str]:
        """Return a value for every knob, `given` over the defaults. Raises BadKnob for a wrong one."""
        known = {knob.name: knob for knob in self.all_knobs}
        for name in given:
            if name not in known:
                raise BadKnob(name, f"is not a knob of {self.name}; it has {', '.join(known)}")
        return {name: knob.parse(given.get(name, knob.default)) for name, knob in known.items()}


def placeholders(text: str) -> set[str]:
    """Return the names in braces of a text."""
    return set(_PLACEHOLDER.findall(text))


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return the text with the placeholders of `values` replaced; other braces are left as they are."""

    def replace(found: re.Match[str]) -> str:
        return str(values[found[1]]) if found[1] in values else found[0]

    return _PLACEHOLDER.sub(replace, text)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be executed. `files`: contents to write before, by name in `directory`."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    files: Mapping[str, str]


def command_of(
    definition: ServerDefinition, values: Mapping[str, object], environment: Mapping[str, str]
) -> Command:
    """Return the command with all placeholders filled.

    values: of PLACEHOLDERS and of all knobs. environment: the variables that every server gets.
    """

    def filled(text: str) -> str:
        return fill(text, values)

    own = {name: filled(value) for name, value in definition.environment.items()}
    return Command(
        argv=tuple(map(filled, definition.argv)),
        environment={**environment, **definition.variables, **own},
        directory=Path(filled(definition.directory) or str(values["directory"])),
        files={name: filled(content) for name, content in definition.files.items()},
    )
