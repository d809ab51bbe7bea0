"""Options and helpers of the commands that make this machine a member of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exit_codes import OK
from app.cli.help import ADVANCED, TARGET
from app.cli.stop_signals import STOP_SIGNALS
from app.errors import Invalid, shown

if TYPE_CHECKING:
    import asyncio

    from app.addresses import ClusterAddress
    from app.cluster.agent import Network
    from app.cluster.facts import HostFacts

Certificates = Annotated[
    Path | None,
    typer.Option(
        "--certs",
        metavar="DIR",
        envvar="THREADLAB_CLUSTER_CERTS",
        help="Directory with the certificates, by `threadlab cluster certs`. Needed for tls://.",
        show_default=False,
        rich_help_panel=TARGET,
    ),
]
Roles = Annotated[
    str,
    typer.Option(
        "--roles",
        metavar="ROLE,…",
        help="What this host does: load (load-generator processes), rounds (of comparisons), or both.",
        rich_help_panel=TARGET,
    ),
]
Targets = Annotated[
    str | None,
    typer.Option(
        "--targets",
        metavar="NETWORK,…",
        help="Addresses that this host may load, such as 10.0.0.0/24. Default: loopback and private ones.",
        show_default=False,
        rich_help_panel=ADVANCED,
    ),
]


def parse_address(text: str) -> ClusterAddress:
    """Return the address of a scheduler. Raises Invalid."""
    from app.addresses import cluster_address

    try:
        return cluster_address(text)
    except ValueError as error:
        raise Invalid(f"{error}.") from None


def parse_targets(text: str | None) -> Sequence[Network]:
    """Return the networks of a comma-separated list. Raises Invalid."""
    try:
        return tuple(ip_network(each.strip()) for each in (text or "").split(",") if each.strip())
    except ValueError as error:
        raise Invalid(f"--targets: {error}.") from None


def facts_here(roles: str) -> HostFacts:
    """Return what this machine is as a host with these roles, comma-separated. Raises Invalid."""
    from app.cluster.facts import HostFacts
    from app.fleet.launchables import Launchables
    from app.machine.system import read_system
    from app.schemas.host import HostRole
    from app.settings import Settings

    names = [each.strip() for each in roles.split(",")]
    if unknown := [name for name in names if name not in set(HostRole)]:
        raise Invalid(f"--roles: {shown(unknown[0])} is none of {', '.join(HostRole)}.")
    settings = Settings()
    launchables = Launchables.load(settings.servers, settings.engine_python)
    system = read_system(launchables.models.views.get("proactor"), settings)
    return HostFacts.here(
        tuple(role for role in HostRole if role in names), system, launchables.available_names
    )


def say(text: str) -> None:
    """Print a sentence at once: a service manager reads it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_until_stopped(member: Coroutine[Any, Any, None], stop: asyncio.Event) -> int:
    """Run a member of a cluster in the main thread until it ends or a signal sets `stop`.

    Returns the exit code.
    """
    import asyncio

    from app.web.connection_limit import raise_descriptor_limit

    raise_descriptor_limit()  # a scheduler has four connections with each host

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, stop.set)
        await member

    asyncio.run(run())
    return OK
