"""`threadlab worker`: makes this machine a host of a cluster."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from app.cli.help import TARGET, Command
from app.cli.members import (
    Certificates,
    Roles,
    Targets,
    facts_here,
    parse_address,
    parse_targets,
    run_until_stopped,
    say,
)

ALL_ROLES = "load,rounds"


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(worker)


def worker(
    scheduler: Annotated[
        str, typer.Argument(metavar="SCHEDULER", help="Its address, such as tls://10.0.0.5:8786.")
    ],
    roles: Roles = ALL_ROLES,
    certs: Certificates = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The name of this host in the cluster. Default: its host name.",
            show_default=False,
            rich_help_panel=TARGET,
        ),
    ] = None,
    targets: Targets = None,
) -> int:
    """Join a cluster: generate load and run rounds for the labs that use it, until a signal ends it.

    Whoever holds a certificate of the cluster can run code here as the user of this process.
    """
    from app.cluster.pool import require_dask

    require_dask()
    import asyncio

    from app.cluster.worker import HostSpec, run_worker

    address, networks = parse_address(scheduler), parse_targets(targets)
    spec = HostSpec(address, certs, name or platform.node(), facts_here(roles), networks)
    stop = asyncio.Event()
    return run_until_stopped(run_worker(spec, stop, say), stop)
