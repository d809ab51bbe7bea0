"""`threadlab hosts`: lists the hosts of a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import console
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import FAILED, OK
from app.cli.help import OUTPUT, TARGET, Command
from app.cli.options import Server

if TYPE_CHECKING:
    from app.schemas.host import HostView
    from app.settings import Settings

COLUMNS = (
    Column("Host", 14, False),
    Column("State", 9, False),
    Column("Roles", 12, False),
    Column("CPUs", 6),
    Column("Python", 15, False),
    Column("Clock ±", 11),
    Column("Round trip", 12),
    Column("Now", 0, False),
)


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(hosts)


def hosts(
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The scheduler, such as tls://10.0.0.5:8786. Default: THREADLAB_CLUSTER.",
            show_default=False,
            rich_help_panel=TARGET,
        ),
    ] = None,
    server: Server = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """List this machine and the hosts of the cluster, with their clocks and round trips."""
    import asyncio

    from app.settings import Settings

    problem: str | None = None
    if server:
        from app.cli.remote import get_hosts

        views: Sequence[HostView] = get_hosts(server)
    else:
        settings = Settings(cluster=cluster) if cluster else Settings()
        views, problem = asyncio.run(_discover(settings))
    if as_json:
        console.show_raw(json.dumps([asdict(view) for view in views], indent=2))
    else:
        console.show(Table(COLUMNS, [_row(view) for view in views]))
    if problem:
        console.error(problem)
        return FAILED
    if sys.stdout.isatty():
        console.hint("threadlab run reactor --placement hosts")
    return OK


async def _discover(settings: Settings) -> tuple[Sequence[HostView], str | None]:
    from app.cluster.pool import host_pool
    from app.fleet.models import describe
    from app.machine.system import read_system

    pool = host_pool(settings, read_system(describe(settings.engine_python).get("proactor"), settings))
    await pool.open()
    try:
        return pool.discover(), pool.problem
    finally:
        await pool.close()


def _row(view: HostView) -> Sequence[str]:
    from app import format

    return (
        Styled(view.name, "bold"),
        view.state,
        ", ".join(view.roles),
        f"{view.cores:,}",
        view.python,
        format.us(view.clock_error_us),
        format.us(view.rtt_us),
        f"  {view.reason or ', '.join(view.work) or '–'}",
    )
