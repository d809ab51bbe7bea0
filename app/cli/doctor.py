"""`threadlab doctor`: shows what of this machine matters to a measurement, and warns."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import console
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import OK
from app.cli.help import OUTPUT, Command

if TYPE_CHECKING:
    from app.schemas.system import SystemView

COLUMNS = (Column("", 14, False), Column("", 0, False))


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """Show this machine, with measurement caveats."""
    from app.fleet.models import describe
    from app.machine.system import read_system
    from app.settings import Settings

    settings = Settings()
    view = read_system(describe(settings.engine_python).get("proactor"), settings)
    if as_json:
        console.show_raw(json.dumps(asdict(view), indent=2))
        return OK
    rows = [(Styled(name, "bold"), " · ".join(facts)) for name, facts in _facts(view).items()]
    console.show(Table(COLUMNS, rows, has_heading=False))
    console.show(*(Styled(f"! {warning}", "yellow") for warning in view.warnings))
    console.hint("threadlab demo")
    return OK


def _facts(view: SystemView) -> dict[str, list[str]]:
    """Return what is known, line by line."""
    memory = [] if view.memory_bytes is None else [f"{view.memory_bytes / 2**30:.1f} GiB"]
    ports = [] if view.port_range is None else [f"ports {view.port_range[0]}–{view.port_range[1]}"]
    somaxconn = [] if view.somaxconn is None else [f"somaxconn {view.somaxconn:,}"]
    blocked = f"blocked by the OS: {view.io_uring_reason}" if view.io_uring_reason else "not available"
    return {
        "Machine": [_count(view.cores, "core"), view.cpu_model, *memory],
        "System": [view.kernel, f"file-descriptor limit {view.descriptor_limit:,}", *somaxconn, *ports],
        "Python": [view.python, f"GIL {'on' if view.gil else 'off'}"],
        "io_uring": ["available" if view.io_uring else blocked],
        "Engines": [_cpus(view.engine_cpus)],
        "Load generator": [_cpus(view.load_cpus), f"{view.load_priority} priority"],
        "Version": [view.version],
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cpus(numbers: tuple[int, ...]) -> str:
    from app import format

    return f"CPU {format.cpus(numbers)}"
