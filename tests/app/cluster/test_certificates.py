"""The certificates of a cluster: files, modes, and whom a member believes."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.addresses import cluster_address
from app.cli.exit_codes import FAILED
from app.cluster.certificates import AUTHORITY, Role, certificate_file, key_file, make_certificates
from app.cluster.security import client_context, files_of, security_of
from app.errors import Invalid
from tests.app.driver import Command
from tests.waiting import BOUND_S

ADDRESS = cluster_address("tls://10.0.0.5:8786")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of one cluster."""
    found = tmp_path_factory.mktemp("cluster") / "certificates"
    make_certificates(found)
    return found


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of another cluster."""
    found = tmp_path_factory.mktemp("strange")
    make_certificates(found)
    return found


def server_context(folder: Path, role: Role) -> ssl.SSLContext:
    """Return the context of a member that listens and asks for a certificate, as Dask does."""
    authority, certificate, key = files_of(folder, role)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key)
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """Return what the client receives over TLS. Raises SSLError of the server, or of the client."""

    def serve(sock: socket.socket) -> None:
        with server.wrap_socket(sock, server_side=True) as accepted:
            accepted.sendall(b"hello")

    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as thread:
        ours.settimeout(BOUND_S)
        theirs.settimeout(BOUND_S)
        served = thread.submit(serve, theirs)
        try:
            with client.wrap_socket(ours) as connected:
                received = connected.recv(5)
        except OSError:
            ours.close()
            served.result()  # a server that refuses the client is the cause
            raise
        served.result()
        return received


def test_there_is_a_pair_for_the_authority_and_for_each_role(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "new" / "folder")
    assert sorted(made) == sorted((tmp_path / "new" / "folder").iterdir())
    names = (AUTHORITY, *Role)
    assert {file.name for file in made} == {f"{name}{end}" for name in names for end in (".pem", "-key.pem")}
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [AUTHORITY, *Role])
def test_only_the_owner_can_read_a_key(folder: Path, name: str) -> None:
    assert stat.S_IMODE(key_file(folder, name).stat().st_mode) == 0o600
    assert b"PRIVATE" in key_file(folder, name).read_bytes()
    assert b"PRIVATE" not in certificate_file(folder, name).read_bytes()


def test_certificates_are_not_overwritten(tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in make_certificates(tmp_path)}
    with pytest.raises(Invalid, match="has certificates already"):
        make_certificates(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("listens", [Role.SCHEDULER, Role.WORKER])
@pytest.mark.parametrize("connects", Role)
def test_members_of_one_cluster_believe_each_other(folder: Path, listens: Role, connects: Role) -> None:
    assert handshake(server_context(folder, listens), client_context(folder, connects)) == b"hello"


def test_a_member_does_not_believe_a_scheduler_of_another_authority(folder: Path, strange: Path) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(server_context(strange, Role.SCHEDULER), client_context(folder, Role.WORKER))


def test_a_scheduler_does_not_believe_a_member_of_another_authority(
    folder: Path, strange: Path, tmp_path: Path
) -> None:
    """The member believes the scheduler: it has the certificate of its authority."""
    shutil.copytree(strange, tmp_path, dirs_exist_ok=True)
    shutil.copy(certificate_file(folder, AUTHORITY), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(folder, Role.SCHEDULER), client_context(tmp_path, Role.LAB))


def test_a_lab_cannot_act_as_scheduler(folder: Path) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(server_context(folder, Role.LAB), client_context(folder, Role.WORKER))


def test_a_scheduler_beyond_the_loopback_needs_certificates(folder: Path) -> None:
    with pytest.raises(Invalid, match="needs certificates: give their directory by --certs"):
        security_of(ADDRESS, None, Role.WORKER)
    assert security_of(cluster_address("tcp://127.0.0.1:8786"), None, Role.WORKER) is None
    security = security_of(ADDRESS, folder, Role.LAB)
    assert security and security.require_encryption
    assert security.tls_client_cert == str(folder / "lab.pem")


@pytest.mark.parametrize("missing", ["ca.pem", "worker.pem", "worker-key.pem"])
def test_a_file_that_is_missing_is_named(folder: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / missing).unlink()
    with pytest.raises(Invalid, match=f"/{missing} cannot be read: No such file or directory"):
        security_of(ADDRESS, tmp_path, Role.WORKER)


def test_a_key_of_another_certificate_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    shutil.copy(key_file(folder, Role.LAB), key_file(tmp_path, Role.WORKER))
    with pytest.raises(Invalid, match=f"The certificates in {tmp_path} cannot be used: "):
        security_of(ADDRESS, tmp_path, Role.WORKER)


def test_a_directory_that_cannot_be_written_is_reported_in_a_sentence(command: Command) -> None:
    found = command("cluster", "certs", "/proc/certificates")
    assert found.returncode == FAILED
    assert found.stderr.startswith("threadlab: /proc/certificates cannot be written: ")
    assert found.stderr.count("\n") == 1
