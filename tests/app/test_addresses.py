"""Addresses: whatever the settings accept is listened on, and printed as it can be opened; IPv6 too."""

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


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


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
def test_who_listens_is_reached_at_what_is_printed(host: str) -> None:
    with addresses.listen(host, 0) as door:
        port = door.getsockname()[1]
        with closing(socket.create_connection((addresses.reachable(host), port))) as reached:
            assert reached.getpeername()[1] == port


@IPV6
def test_every_address_of_ipv6_is_also_every_one_of_ipv4() -> None:
    with addresses.listen("::", 0) as door, socket.create_connection(("127.0.0.1", door.getsockname()[1])):
        pass


@pytest.mark.parametrize(
    ("host", "in_a_url"), [("::1", "[::1]"), ("127.0.0.2", "127.0.0.2"), ("a.example", "a.example")]
)
def test_brackets_are_where_a_url_needs_them(host: str, in_a_url: str) -> None:
    assert addresses.bracketed(host) == in_a_url


@pytest.mark.parametrize("host", ["127.0.0.2", pytest.param("::1", marks=IPV6)])
def test_a_lab_answers_at_the_address_that_it_prints_and_so_do_its_engines(
    make_lab: LabMaker, host: str
) -> None:
    lab = make_lab("--host", host)
    assert httpx.get(f"{lab.url}/healthz").status_code == 200 and addresses.bracketed(host) in lab.url
    engine = lab.start("reactor")
    assert httpx.get(engine["url"]).text == "Hello, World!"


@pytest.mark.parametrize("host", ["192.0.2.1", pytest.param("2001:db8::1", marks=IPV6)])
def test_an_address_of_another_machine_is_said_in_words(host: str, tmp_path: Path, capsys: Any) -> None:
    flags = ("--host", host, "--port", "0", "--token", new_token(), "--data-dir", str(tmp_path))
    assert main(["serve", *flags]) == 1
    said = capsys.readouterr().err
    assert f"cannot listen on {addresses.bracketed(host)}:0: " in said and "Unknown error" not in said
    assert any(
        words in said for words in ("Cannot assign", "not available", *map(str, (errno.EADDRNOTAVAIL,)))
    )


def test_an_ipv4_mapped_address_is_shown_as_ipv4() -> None:
    assert unmapped(("::ffff:192.0.2.1", 5)) == ("192.0.2.1", 5)
    for client in (("192.0.2.1", 5), ("2001:db8::1", 5), None):
        assert unmapped(client) == client
