"""The entry point of `threadlab`: runs a command, and reports its error in one line and an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from app import streams
from app.cli import (
    cluster,
    compare,
    console,
    demo,
    doctor,
    engine,
    experiment,
    hosts,
    import_result,
    models,
    run,
    serve,
    servers,
    token,
    tune,
    worker,
)
from app.cli.exit_codes import BAD_ARGUMENTS, FAILED, OK, SIGNALLED
from app.cli.help import OTHER, Group
from app.cli.usage_errors import setting_errors, usage_error
from app.errors import LabError

app = typer.Typer(
    cls=Group,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module, panel in (
    (run, "Measure"),
    (compare, "Measure"),
    (experiment, "Measure"),
    (tune, "Measure"),
    (demo, "Measure"),
    (import_result, "Measure"),
    (serve, "Serve"),
    (token, "Serve"),
    (engine, "Serve"),
    (cluster, "Serve"),
    (worker, "Serve"),
    (models, "Inspect"),
    (servers, "Inspect"),
    (hosts, "Inspect"),
    (doctor, "Inspect"),
):
    module.register(app, panel)


@app.callback(invoke_without_command=True)
def threadlab(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", rich_help_panel=OTHER)
    ] = False,
) -> None:
    """Thread models for network servers: start, load and compare them."""
    if show_version:
        from importlib.metadata import version

        sys.stdout.write(f"threadlab {version('threadlab')}\n")
        raise typer.Exit(OK)
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")
        raise typer.Exit(BAD_ARGUMENTS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` (default: the arguments of the process) and return its exit code."""
    with streams.tolerant() as out:
        code = _run(argv)
        out.flush()
        if out.error is None or isinstance(out.error, BrokenPipeError):
            return code
        console.error(f"stdout could not be written: {out.error.strerror}.")
        return code or FAILED


def command() -> Any:
    """Return the command line as typer has built it: all commands with their options."""
    return typer.main.get_command(app)


def _run(argv: Sequence[str] | None) -> int:
    try:
        code = command().main(args=argv, prog_name="threadlab", standalone_mode=False)
        return int(code or OK)
    except typer.TyperException as error:
        console.error(usage_error(error))
        return error.exit_code
    except typer.Abort:
        return SIGNALLED + signal.SIGINT
    except LabError as error:
        console.error(error.detail)
        return BAD_ARGUMENTS if error.status in (404, 422) else FAILED
    except ValueError as error:
        if not (problems := setting_errors(error)):
            raise
        console.errors(problems)
        return BAD_ARGUMENTS


if __name__ == "__main__":
    sys.exit(main())
