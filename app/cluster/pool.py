"""The hosts of a lab with these settings. Dask is imported only if there is a cluster."""

from __future__ import annotations

from importlib.util import find_spec

from app.addresses import cluster_address
from app.cluster import INSTALL
from app.errors import Invalid
from app.hosts.local_host import LocalHost
from app.hosts.port import HostPool
from app.lab import Lab
from app.schemas.system import SystemView
from app.servers.from_shell import NOTHING, FromShell
from app.settings import Settings


def open_lab(settings: Settings, shell: FromShell = NOTHING) -> Lab:
    """Return a lab with the hosts of its settings. Raises LabError."""
    return Lab.open(settings, shell, lambda system: host_pool(settings, system))


def host_pool(settings: Settings, system: SystemView) -> HostPool:
    """Return the hosts of the cluster in `settings`, or this machine alone.

    Raises Invalid if Dask is not installed.
    """
    if not settings.cluster:
        return LocalHost(system)
    require_dask()
    from app.cluster.dask_hosts import DaskHosts

    return DaskHosts(cluster_address(settings.cluster), settings.cluster_certs, system)


def require_dask() -> None:
    """Raise Invalid if the extra `cluster` is not installed."""
    for module in ("distributed", "cryptography"):
        if find_spec(module) is None:
            raise Invalid(f"A cluster needs {module}, which is not installed: {INSTALL}")
