"""The certificates with which a process takes part in a cluster."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from app.addresses import ClusterAddress
from app.cluster.certificates import AUTHORITY, Role, certificate_file, key_file
from app.cluster.dask import Security
from app.errors import Invalid

# Dask's name for each role.
DASK_ROLES = {Role.SCHEDULER: "scheduler", Role.WORKER: "worker", Role.LAB: "client"}


def security_of(address: ClusterAddress, folder: Path | None, role: Role) -> Security | None:
    """Return the certificates of a role; None on a loopback address without TLS.

    Raises Invalid if a file is missing or cannot be used.
    """
    if not address.is_encrypted:
        return None
    if folder is None:
        raise Invalid(
            f"{address} needs certificates: give their directory by --certs (of threadlab serve: "
            "--cluster-certs, THREADLAB_CLUSTER_CERTS). `threadlab cluster certs DIR` makes them."
        )
    for problem in _problems(folder, role):
        raise Invalid(problem)
    security = Security(require_encryption=True, tls_min_version=ssl.TLSVersion.TLSv1_3)
    authority, certificate, key = map(str, files_of(folder, role))
    name = DASK_ROLES[role]
    security.tls_ca_file = authority
    setattr(security, f"tls_{name}_cert", certificate)
    setattr(security, f"tls_{name}_key", key)
    return security


def _problems(folder: Path, role: Role) -> Iterator[str]:
    authority, certificate, key = files_of(folder, role)
    for file in (authority, certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            yield (
                f"{file} cannot be read: {error.strerror}. `threadlab cluster certs DIR` makes certificates."
            )
    try:
        client_context(folder, role)
    except (ssl.SSLError, OSError) as error:
        yield f"The certificates in {folder} cannot be used: {error}."


def files_of(folder: Path, role: Role) -> tuple[Path, Path, Path]:
    """Return the certificate of the authority, and the pair of a role."""
    return certificate_file(folder, AUTHORITY), certificate_file(folder, role), key_file(folder, role)


def client_context(folder: Path, role: Role) -> ssl.SSLContext:
    """Return the context of a connection to a scheduler. Raises SSLError, OSError.

    The name in the certificate does not matter: only members of the cluster have one of this authority.
    """
    authority, certificate, key = files_of(folder, role)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key)
    return context
