"""The sockets that the lab opens for engines, with errors that a person can act on."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

from app import addresses
from app.errors import Busy, NotNow

RESOURCE_ERRORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def listen(host: str, port: int, backlog: int, reuse_port: bool = False) -> socket.socket:
    """Return a listening socket; see `addresses.listen`.

    Raises NotNow if the port is in use, and Busy if the lab has no descriptor or memory left.
    """
    with _errors(host, port):
        return addresses.listen(host, port, backlog, reuse_port)


def hold(host: str, port: int) -> socket.socket:
    """Return a socket that only holds a port; see `addresses.hold`. Raises as `listen`."""
    with _errors(host, port):
        return addresses.hold(host, port)


@contextlib.contextmanager
def _errors(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in RESOURCE_ERRORS:
            raise Busy(f"The lab cannot open another socket: {error.strerror}.") from error
        raise NotNow(f"Cannot listen on {addresses.bracketed(host)}:{port}: {error.strerror}.") from error
