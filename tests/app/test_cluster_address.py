"""Addresses of schedulers: plain TCP only on the loopback."""

from __future__ import annotations

import pytest

from app.addresses import cluster_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tls://10.0.0.5:8786", "tls://10.0.0.5:8786"),
        ("tls://10.0.0.5", "tls://10.0.0.5:8786"),
        ("tls://Lab.example.org:1", "tls://lab.example.org:1"),
        ("TLS://[2001:DB8::1]", "tls://[2001:db8::1]:8786"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        ("tcp://127.9.9.9:1", "tcp://127.9.9.9:1"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
        ("tcp://localhost", "tcp://localhost:8786"),
    ],
)
def test_the_address_of_a_cluster_has_a_port_and_can_be_parsed_again(text: str, address: str) -> None:
    found = cluster_address(text)
    assert str(found) == address
    assert cluster_address(str(found)) == found
    assert found.is_encrypted == address.startswith("tls:")


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "0.0.0.0", "[::]", "lab.example.org", "127.0.0.1.example.org", "2130706433"]
)
def test_a_cluster_beyond_the_loopback_needs_certificates(host: str) -> None:
    with pytest.raises(ValueError, match="is not a loopback address: use tls://") as refused:
        cluster_address(f"tcp://{host}:8786")
    assert f"use tls://{host}:8786," in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.5",
        "10.0.0.5:8786",
        "http://10.0.0.5:8786",
        "tls:10.0.0.5",
        "tls://",
        "tls://:8786",
        "tls://[::1",
        "tls://10.0.0.5:port",
        "tls://10.0.0.5:65536",
        "tls://10.0.0.5:8786/path",
        "tls://10.0.0.5:8786?query",
        "tls://10.0.0.5:8786#part",
        "tls://user@10.0.0.5:8786",
    ],
)
def test_another_text_is_no_address_of_a_cluster(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address such as tls://10\.0\.0\.5:8786"):
        cluster_address(text)
