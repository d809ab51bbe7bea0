"""Checks before a process joins a cluster, so that a refusal is one sentence and not a traceback.

Dask reports most of these failures as a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from app.addresses import ClusterAddress, listen_error
from app.cluster import LOST_AFTER_S
from app.cluster.certificates import Role
from app.cluster.dask import rpc
from app.cluster.facts import METADATA_KEY, Software
from app.cluster.security import client_context, security_of
from app.errors import Invalid, NotNow

REFUSAL_S = 0.5  # a server that refuses a certificate says so after the handshake (TLS 1.3)


class Unreachable(NotNow):
    """The scheduler does not answer now; later it may."""


async def check_scheduler(
    address: ClusterAddress, certificates: Path | None, role: Role, software: Software
) -> None:
    """Raise a LabError if this process cannot join.

    Unreachable: nothing answers. Invalid: a certificate or a version does not fit, which needs a person.
    """
    security = security_of(address, certificates, role)
    await _check_connection(address, certificates, role)
    arguments = security.get_connection_args("client" if role == Role.LAB else role) if security else {}
    try:
        async with asyncio.timeout(LOST_AFTER_S):
            async with rpc(str(address), connection_args=arguments) as scheduler:
                found = await scheduler.get_metadata(keys=[METADATA_KEY], default=None)
    except (OSError, TimeoutError, ValueError) as error:
        raise Unreachable(f"The scheduler at {address} does not answer: {error or 'timeout'}.") from error
    if not isinstance(found, dict):
        raise Invalid(
            f"The scheduler at {address} was not started by `threadlab cluster up`, so the versions of its "
            "members cannot be checked."
        )
    if differs := software.difference(found):
        raise Invalid(f"The cluster at {address} has {differs} here. Install the same version on all hosts.")


async def _check_connection(address: ClusterAddress, certificates: Path | None, role: Role) -> None:
    context = client_context(certificates, role) if address.is_encrypted and certificates else None
    try:
        async with asyncio.timeout(LOST_AFTER_S):
            reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        raise Invalid(
            f"The certificate of the scheduler at {address} is not from the authority in {certificates}: "
            f"{error.verify_message}."
        ) from error
    except ssl.SSLError as error:
        raise Invalid(f"The scheduler at {address} does not speak TLS: {error.reason}.") from error
    except TimeoutError as error:
        raise Unreachable(f"No scheduler answers at {address}.") from error
    except OSError as error:
        raise Unreachable(f"No scheduler answers at {address}: {listen_error(error)}.") from error
    try:
        if context:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), REFUSAL_S)
    except ssl.SSLError as error:
        raise Invalid(
            f"The scheduler at {address} refused the certificate of this host: {error.reason}. "
            f"It needs one of the same authority (ca.pem)."
        ) from error
    except OSError as error:
        raise Unreachable(f"The scheduler at {address} closed the connection: {error}.") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
