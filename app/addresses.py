"""Addresses to listen on and to print: IPv4, IPv6 and host names."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # each with the loopback address of its family
IPV4_MAPPED = "::ffff:"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, backlog: int | None = None, reuse_port: bool = False) -> socket.socket:
    """Return a listening socket; `::` also accepts IPv4. Raises OSError: see `listen_error`.

    reuse_port: other sockets may listen on the same port, each with its own accept queue (SO_REUSEPORT).
    """
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    dual_stack = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(
        (host, port), family=family, backlog=backlog, reuse_port=reuse_port, dualstack_ipv6=dual_stack
    )


def hold(host: str, port: int) -> socket.socket:
    """Return a socket that is bound and does not listen, so that others can listen on its port.

    They need SO_REUSEPORT, which it has. Raises OSError: see `listen_error`.
    """
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        sock.bind((host, port))
        return sock
    except OSError:
        sock.close()
        raise


def listen_error(error: OSError) -> str:
    """Return why an address cannot be used, without the words that the socket module adds to it.

    Errors of name resolution have a negative number, which `os.strerror` does not know.
    """
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def reachable(host: str) -> str:
    """Return the address at which this machine can connect to a socket that listens on `host`."""
    return WILDCARDS.get(host, host)


def bracketed(host: str) -> str:
    """Return the host for a URL: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host else host


def unmapped(client: tuple[str, int] | None) -> tuple[str, int] | None:
    """Return a client's address and port, with an IPv4-mapped address (`::ffff:192.0.2.1`) as IPv4.

    A socket that listens on `::` reports IPv4 clients with mapped addresses.
    """
    if client is None or not client[0].startswith(IPV4_MAPPED):
        return client
    mapped = ipaddress.IPv6Address(client[0]).ipv4_mapped
    return (str(mapped), client[1]) if mapped else client


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The address of a scheduler. scheme: tls, or tcp on a loopback address."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    @property
    def is_encrypted(self) -> bool:
        """Whether both ends prove by certificates who they are."""
        return self.scheme == "tls"


CLUSTER_PORT = 8786  # the default of Dask


def cluster_address(text: str) -> ClusterAddress:
    """Return the address of a text such as tls://10.0.0.5:8786. Raises ValueError with a sentence."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, CLUSTER_PORT if parts.port is None else parts.port
        has_more = bool(parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:
        host, port, has_more = None, 0, False
    if not host or parts.scheme not in ("tls", "tcp") or has_more:
        raise ValueError(f"{text!r} is not an address such as tls://10.0.0.5:{CLUSTER_PORT}")
    address = ClusterAddress(parts.scheme, host, port)
    if not address.is_encrypted and not is_loopback(host):
        raise ValueError(
            f"{host} is not a loopback address: use tls://{bracketed(host)}:{port}, because whoever reaches "
            "a scheduler without certificates runs code on all its hosts"
        )
    return address
