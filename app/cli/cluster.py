"""`threadlab cluster`: a scheduler for the hosts of a cluster, and the certificates of its members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exit_codes import OK
from app.cli.help import ADVANCED, TARGET, Command, Group
from app.cli.members import Certificates, facts_here, parse_address, run_until_stopped, say
from app.cli.worker import ALL_ROLES
from app.errors import NotNow

if TYPE_CHECKING:
    from app.addresses import ClusterAddress
    from app.cluster.worker import HostSpec

LISTEN = "tcp://127.0.0.1:8786"
WORKERS_MAX = 16


def register(app: typer.Typer, panel: str) -> None:
    """Add the group of commands to `app`."""
    group = typer.Typer(cls=Group, help="Start a cluster, and make its certificates.")
    group.command("up", cls=Command)(up)
    group.command("certs", cls=Command)(certs)
    app.add_typer(group, name="cluster", rich_help_panel=panel)


def up(
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the scheduler listens; not on the loopback: tls://, with --certs.",
            rich_help_panel=TARGET,
        ),
    ] = LISTEN,
    certs: Certificates = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=WORKERS_MAX, help="Hosts beside it, for trying.", rich_help_panel=ADVANCED
        ),
    ] = 1,
) -> int:
    """Run the scheduler of a cluster, with one host on this machine, until a signal ends it."""
    from app.cluster.pool import require_dask

    require_dask()
    import asyncio

    from app.cluster.scheduler import run_scheduler

    stop = asyncio.Event()

    def hosts(address: ClusterAddress) -> Sequence[HostSpec]:
        say(f"Add a host:   threadlab worker {address}{_certs_option(certs)}")
        say(f"Use them:     {_certs_variable(certs)}threadlab serve --cluster {address}")
        return _local_hosts(address, certs, workers)

    return run_until_stopped(run_scheduler(parse_address(listen), certs, hosts, stop, say), stop)


def _local_hosts(address: ClusterAddress, certs: Path | None, count: int) -> Sequence[HostSpec]:
    from app.cluster.facts import ROUNDS_CPUS_MIN
    from app.cluster.worker import HostSpec
    from app.machine.cpu_placement import usable_cpus

    roles = ALL_ROLES if len(usable_cpus()) >= ROUNDS_CPUS_MIN else "load"
    facts = facts_here(roles) if count else None
    names = [f"local-{number + 1}" for number in range(count)]
    return [HostSpec(address, certs, name, facts) for name in names if facts]


def _certs_option(certs: Path | None) -> str:
    return f" --certs {certs}" if certs else ""


def _certs_variable(certs: Path | None) -> str:
    return f"THREADLAB_CLUSTER_CERTS={certs} " if certs else ""


def certs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory for the files.")],
) -> int:
    """Make a private authority, and certificates for scheduler, workers and labs.

    Copy ca.pem and the pair of its role to each host. Whoever holds one of the keys can run code on all of
    them; ca-key.pem makes further certificates, so keep it elsewhere.
    """
    from app.cluster.pool import require_dask

    require_dask()
    from app.cluster.certificates import VALID_DAYS, make_certificates

    try:
        files = make_certificates(folder)
    except OSError as error:
        raise NotNow(f"{error.filename or folder} cannot be written: {error.strerror}.") from None
    for file in files:
        say(str(file))
    say(f"Valid for {VALID_DAYS} days.")
    return OK
