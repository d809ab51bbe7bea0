"""`threadlab serve`: runs the lab until a signal stops it.

Its options are the settings of app/settings.py.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from app.cli import console
from app.cli.exit_codes import BAD_ARGUMENTS, FAILED
from app.cli.help import ADVANCED, Command
from app.cli.usage_errors import setting_errors

if TYPE_CHECKING:
    from app.settings import Settings

OTHER_PORTS = (9000, 9001)  # of the hint if the port is taken
# The group of each setting in the help; others are under Advanced.
NETWORK, SECURITY, ENGINES, LIMITS, STORAGE = "Network", "Security", "Engines", "Limits", "Storage"
CLUSTER = "Cluster"
GROUPS = {
    NETWORK: ("host", "port", "root_path"),
    SECURITY: ("token", "token_file", "allowed_hosts", "trusted_proxies"),
    ENGINES: ("engine_host", "engine_ports", "engine_python", "models", "servers"),
    LIMITS: ("max_engines", "max_connections", "max_rate", "max_duration_s"),
    CLUSTER: ("cluster", "cluster_certs"),
    STORAGE: ("data_dir", "database_url"),
    ADVANCED: ("load_priority", "sample_interval_ms"),
}
# What stands for the value of a setting in the help, by the last word of its name; N for other numbers.
METAVARS = {
    "host": "HOST",
    "hosts": "HOST,…",
    "port": "PORT",
    "ports": "FROM-TO",
    "path": "PATH",
    "token": "TOKEN",
    "file": "FILE",
    "python": "FILE",
    "dir": "DIR",
    "models": "DIR",
    "servers": "FILE",
    "cluster": "ADDRESS",
    "certs": "DIR",
    "url": "URL",
    "proxies": "ADDRESS,…",
    "s": "S",
    "ms": "MS",
}


class ServeCommand(Command):
    """A command with an option for each setting. pydantic is imported when they are needed."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of all settings, and --help."""
        return [*_setting_options(), *super().get_params(ctx)]

    def invoke(self, ctx: Any) -> int:
        """Run the lab with the settings that were given; return the exit code."""
        return run({name: value for name, value in ctx.params.items() if value is not None})


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command("serve", cls=ServeCommand, rich_help_panel=panel)(_serve)


def _serve() -> None:
    """Start the lab: dashboard, REST API and WebSocket.

    Each option is also an environment variable: --data-dir is THREADLAB_DATA_DIR.
    """


def run(given: dict[str, str]) -> int:
    """Run the lab with these settings, and those of the environment, until a signal stops it.

    Returns the exit code. Raises LabError if the lab cannot be opened.
    """
    from app.addresses import listen
    from app.machine.child_environment import MODELS_DIRECTORY
    from app.settings import Settings

    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValueError as error:
        console.errors(setting_errors(error, given))
        return BAD_ARGUMENTS
    if settings.models:
        os.environ[MODELS_DIRECTORY] = str(settings.models.resolve())  # engines read it, not the lab
    console.errors(_exposed_token(given, settings))
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        console.error(_cannot_listen(settings.host, settings.port, error))
        return FAILED
    from app.cli.lab_server import run_lab

    with listener:
        return run_lab(settings, listener)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    """Return why the lab cannot listen, and if another program has the port, how to choose another one."""
    from app.addresses import bracketed, listen_error

    reason = listen_error(error)
    text = f"cannot listen on {bracketed(host)}:{port}: {reason[:1].lower()}{reason[1:]}"
    if error.errno != errno.EADDRINUSE:
        return text
    other = OTHER_PORTS[port == OTHER_PORTS[0]]
    return f"{text}. Choose another port: threadlab serve --port {other}"


def _exposed_token(given: dict[str, str], settings: Settings) -> list[str]:
    """Return a warning if other users of this machine can read the token."""
    if given.get("token"):
        return [
            "the token is on the command line, where other users of this machine can see it (ps). "
            "Set THREADLAB_TOKEN or --token-file instead."
        ]
    with contextlib.suppress(OSError):  # a pipe, such as of <(…), that has been read and is gone
        if settings.token_file and settings.token_file.stat().st_mode & 0o077:
            return [
                f"other users can read the token in {settings.token_file}. "
                f"Run: chmod 600 {settings.token_file}"
            ]
    return []


@cache
def _setting_options() -> tuple[Any, ...]:
    """Return an option for each setting.

    Its text is validated by Settings, together with the environment.
    """
    from app.settings import Settings

    def declared() -> None: ...

    group_of = {name: group for group, names in GROUPS.items() for name in names}
    parameters = []
    for name, field in Settings.model_fields.items():
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            metavar=_metavar(name, field.annotation),
            help=f"{_sentence(field.description or name)} "
            f"({_default(field.default)}; THREADLAB_{name.upper()})",
            rich_help_panel=group_of.get(name, ADVANCED),
            show_default=False,
        )
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(
            inspect.Parameter(name, kind, default=None, annotation=Annotated[str | None, option])
        )
    declared.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    options = typer.Typer(add_completion=False)
    options.command()(declared)
    return tuple(typer.main.get_command(options).params)


def _metavar(name: str, kind: Any) -> str:
    """Return what stands for the value of a setting, by the last word of its name: PORT, DIR, MS …"""
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return METAVARS.get(name.split("_")[-1], "N")


def _default(value: object) -> str:
    if value == sys.executable:
        return "default: this Python"
    return f"default: {'none' if value is None or value == '' else value}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
