"""Local ports: those in TIME_WAIT, and a generator that may use only one."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from app.load.connections.connection_pool import ConnectionPool

IP_LOCAL_PORT_RANGE = 51  # of a single socket, since Linux 6.3


SOURCES = 64  # source addresses of a load with churn
LOCALHOST = "0100007F"  # 127.0.0.1 in /proc/net/tcp; it is none of them


def in_time_wait(port: int) -> set[tuple[str, str]]:
    """(address, port) of our ends of connections to `port` that are in TIME_WAIT, as the kernel writes them.

    The kernel may leave out a connection while others open and close, so wait for those that are expected.
    """
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        if state == "06" and theirs.endswith(f":{port:04X}"):
            address, _, number = ours.partition(":")
            found.add((address, number))
    return found


def only_port(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let the connections of a generator in this process have no other local port."""
    new_socket = ConnectionPool.new_socket

    def of_one_port(pool: ConnectionPool) -> socket.socket:
        sock = new_socket(pool)
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", port << 16 | port))
        return sock

    monkeypatch.setattr(ConnectionPool, "new_socket", of_one_port)
