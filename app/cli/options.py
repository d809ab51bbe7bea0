"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.help import ADVANCED, OUTPUT, TARGET
from app.errors import Invalid, shown


def complete_model(incomplete: str) -> list[str]:
    """Return the models and servers whose names start with `incomplete`, for shell completion (0.2 s)."""
    from app.cli.models import engine_python
    from app.cli.servers import load_servers
    from app.errors import LabError
    from app.fleet.models import describe

    try:
        names = (*describe(engine_python()), *load_servers().definitions)
        return [name for name in names if name.startswith(incomplete)]
    except LabError:
        return []


def check_server(url: str | None) -> str | None:
    """Return the value of --server. Raises Invalid if it is no URL of HTTP."""
    if url is not None and not url.lower().startswith(("http://", "https://")):
        raise Invalid("--server must begin with http:// or https://.")
    return url


def knob(where: str, text: str, form: str) -> tuple[str, str]:
    """Return the name and value of `KNOB=VALUE`. Raises Invalid, which names the argument and its form."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Invalid(f"{where}: write {form}, not {shown(text)}.")
    return name, value


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="The model, such as reactor. `threadlab models` lists all.",
        autocompletion=complete_model,
    ),
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="The model or external server, such as reactor. `threadlab models` and `threadlab servers` list "
        "them. Not with --command.",
        autocompletion=complete_model,
    ),
]
Commands = Annotated[
    list[str] | None,
    typer.Option(
        "--command",
        metavar="COMMAND",
        help="A server of your own, such as './myserver --port {port}'. No shell reads it.",
        rich_help_panel=TARGET,
    ),
]
App = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:CALLABLE",
        help="Your own WSGI application, such as shop.wsgi:application, served in place of the work kinds.",
        rich_help_panel=TARGET,
    ),
]
AppDir = Annotated[
    str | None,
    typer.Option(
        "--app-dir",
        metavar="DIR",
        help="Where the module of --app is, and its working directory. Default: this directory.",
        show_default=False,
        rich_help_panel=TARGET,
    ),
]
AppEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--app-env",
        metavar="NAME=VALUE",
        help="A variable for --app; NAME alone takes the value of this shell. Repeatable.",
        rich_help_panel=TARGET,
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Run on a remote lab, such as http://127.0.0.1:8000, instead of in this process. "
        "THREADLAB_TOKEN is its access token.",
        callback=check_server,
        rich_help_panel=TARGET,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Scheduler of a cluster whose hosts can take part, such as tls://10.0.0.5:8786. "
        "Default: THREADLAB_CLUSTER.",
        show_default=False,
        rich_help_panel=TARGET,
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="T",
        help="A limit of each run, such as 'p(99)<20ms'. Exit code 3 if it is not met. Repeatable.",
        rich_help_panel=OUTPUT,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="A note that is kept with the result.", rich_help_panel=ADVANCED),
]


def _file(flag: str, help: str) -> typer.models.OptionInfo:
    declared: typer.models.OptionInfo = typer.Option(flag, metavar="FILE", help=help, rich_help_panel=OUTPUT)
    return declared


JsonFile = Annotated[str | None, _file("--json", "Write the result as JSON; - for stdout.")]
CsvFile = Annotated[str | None, _file("--csv", "Write the measurements as CSV; - for stdout.")]
JunitFile = Annotated[str | None, _file("--junit", "Write the thresholds as JUnit XML; - for stdout.")]
HtmlFile = Annotated[str | None, _file("--html", "Write a report as one HTML file; - for stdout.")]
PerfettoFile = Annotated[
    str | None,
    _file("--perfetto", "Write a trace for ui.perfetto.dev; - for stdout. Implies --trace."),
]
