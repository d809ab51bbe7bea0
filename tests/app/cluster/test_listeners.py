"""The processes of a cluster listen on their own ports only: no dashboard, no HTTP server."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cluster.certificates import Role, make_certificates
from app.cluster.security import client_context
from tests.app.cluster.listening import listeners
from tests.app.cluster.members import Member, threadlab
from tests.waiting import reserved_port


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "certificates")
    return tmp_path / "certificates"


@pytest.fixture
def cluster(certificates: Path) -> Iterator[tuple[Member, int]]:
    """A scheduler with one worker in its process, with certificates, and its port."""
    with reserved_port() as port:
        address = f"tls://127.0.0.1:{port}"
        member = Member(threadlab("cluster", "up", "--listen", address, "--certs", str(certificates)))
        with contextlib.closing(member):
            member.wait_printed("Joined")
            yield member, port


def test_scheduler_and_worker_have_one_port_each_on_the_loopback(cluster: tuple[Member, int]) -> None:
    member, port = cluster
    found = listeners(member.process.pid)
    assert len(found) == 2 and any(each.endswith(f":{port:04X}") for each in found)
    assert all(each.startswith("0100007F:") for each in found), found


def test_connections_have_tls_1_3_and_a_certificate_of_both_sides(
    cluster: tuple[Member, int], certificates: Path
) -> None:
    _, port = cluster
    context = client_context(certificates, Role.LAB)
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        assert secure.version() == "TLSv1.3"
    older = client_context(certificates, Role.LAB)
    older.minimum_version, older.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises((ssl.SSLError, OSError)):
        older.wrap_socket(plain)
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLError, match="certificate"),  # TLS 1.3: refused after the handshake
        nobody.wrap_socket(plain) as secure,
    ):
        secure.recv(1)
