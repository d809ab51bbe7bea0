"""Addresses to listen on and to print, with IPv6."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import addresses
from app.addresses import unmapped
from app.cli.main import main
from app.web.authentication import new_token
from tests.app.driver import LabMaker


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.2",
        "localhost",
        "0.0.0.0",
        *(pytest.param(v6, marks=IPV6) for v6 in ("::1", "::")),
    ],
)
def test_a_listener_is_reachable_at_the_printed_address(host: str) -> None:
    with addresses.listen(host, 0) as listener:
        port = listener.getsockname()[1]
        with closing(socket.create_connection((addresses.reachable(host), port))) as client:
            assert client.getpeername()[1] == port


@IPV6
def test_the_ipv6_wildcard_also_accepts_ipv4() -> None:
    with (
        addresses.listen("::", 0) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "url_host"), [("::1", "[::1]"), ("127.0.0.2", "127.0.0.2"), ("a.example", "a.example")]
)
def test_ipv6_addresses_have_brackets_in_urls(host: str, url_host: str) -> None:
    assert addresses.bracketed(host) == url_host


@pytest.mark.parametrize("host", ["127.0.0.2", pytest.param("::1", marks=IPV6)])
def test_a_lab_and_its_engines_are_reachable_at_the_printed_urls(make_lab: LabMaker, host: str) -> None:
    lab = make_lab("--host", host)
    assert httpx.get(f"{lab.url}/healthz").status_code == 200 and addresses.bracketed(host) in lab.url
    engine = lab.start("reactor")
    assert httpx.get(engine["url"]).text == "Hello, World!"


@pytest.mark.parametrize("host", ["192.0.2.1", pytest.param("2001:db8::1", marks=IPV6)])
def test_listening_on_the_address_of_another_machine_is_reported(
    host: str, tmp_path: Path, capsys: Any
) -> None:
    flags = ("--host", host, "--port", "0", "--token", new_token(), "--data-dir", str(tmp_path))
    assert main(["serve", *flags]) == 1
    stderr = capsys.readouterr().err
    assert f"cannot listen on {addresses.bracketed(host)}:0: " in stderr and "Unknown error" not in stderr
    assert any(
        words in stderr for words in ("cannot assign", "not available", *map(str, (errno.EADDRNOTAVAIL,)))
    )


def test_an_ipv4_mapped_address_is_shown_as_ipv4() -> None:
    assert unmapped(("::ffff:192.0.2.1", 5)) == ("192.0.2.1", 5)
    for client in (("192.0.2.1", 5), ("2001:db8::1", 5), None):
        assert unmapped(client) == client
