"""Addresses to listen on and to print: IPv4, IPv6 and host names."""

from __future__ import annotations

import ipaddress
import socket

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine to itself only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, backlog: int | None = None, reuse_port: bool = False) -> socket.socket:
    """A listening socket; `::` takes IPv4 as well. Raises OSError, whose `strerror` says why in words.

    `reuse_port`: others may listen on the same port (SO_REUSEPORT), each with an accept queue of its own.
    """
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(
        (host, port), family=family, backlog=backlog, reuse_port=reuse_port, dualstack_ipv6=both
    )


def reachable(host: str) -> str:
    """Under which address this machine reaches who listens on `host`."""
    return WILDCARDS.get(host, host)


def bracketed(host: str) -> str:
    """The host part of a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def unmapped(client: tuple[str, int] | None) -> tuple[str, int] | None:
    """A client's address and port, IPv4 as IPv4: who listens on `::` sees it as IPv6 (`::ffff:192.0.2.1`)."""
    if client is None or not client[0].startswith("::ffff:"):
        return client
    mapped = ipaddress.IPv6Address(client[0]).ipv4_mapped
    return (str(mapped), client[1]) if mapped else client
