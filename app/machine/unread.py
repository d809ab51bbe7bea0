"""Connections whose bytes wait in the kernel: sent by a client, and not read by the server yet."""

from __future__ import annotations

import struct

from app.machine.sock_diag import TcpStates, family_of, sockets


def count_unread(host: str, port: int) -> int | None:
    """Return how many connections to this port have unread bytes; None if that is unknown.

    Those that the server has not accepted yet count too. Costs 3 ms of CPU on a machine with 24 GiB:
    the kernel goes through its table of all sockets, whose size depends on the memory. Each socket adds 3 µs.
    """
    try:
        open_sockets = sockets(family_of(host), port, TcpStates.ESTABLISHED | TcpStates.CLOSE_WAIT)
        return sum(each.receive_queue > 0 for each in open_sockets)
    except (OSError, struct.error):
        return None
