"""TCP sockets as the kernel describes them to any user of its network namespace, by netlink (sock_diag)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
SOCKET_ID = "4x48s"  # family, state, timer, retransmits; then inet_diag_sockid
REQUEST = struct.Struct("=BBBxI2s46x")  # inet_diag_req_v2: family, protocol, extensions, states, source port
MESSAGE = struct.Struct("=4x4s16s28xIIIII")  # inet_diag_msg: ports, source address, …, expires, queues, …
RECEIVE_BYTES = 32 * 1024  # the kernel splits a longer answer


class TcpStates(IntFlag):
    """The bits of the states of a TCP socket."""

    ESTABLISHED = 1 << 1
    CLOSE_WAIT = 1 << 8
    LISTEN = 1 << 10


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Socket(NamedTuple):
    """A socket. The queues are bytes; of a listening socket the connections that wait, and its backlog."""

    address: bytes  # the source address
    receive_queue: int
    send_queue: int
    inode: int


def sockets(family: int, port: int, states: TcpStates) -> Iterator[Socket]:
    """Yield each socket in `states` with this source port.

    Raises OSError where the kernel or a sandbox refuses, and struct.error for an answer of another form.
    """
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, states, port.to_bytes(2, "big"))
    head = HEADER.pack(HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(head + request)
        while True:
            # The kernel answers within the call of the sender, so nothing has to be waited for.
            data = netlink.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            at = 0
            while at < len(data):
                length, kind, _, _, _ = HEADER.unpack_from(data, at)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    raise OSError("the kernel does not describe its sockets")
                _, address, _, received, sent, _, inode = MESSAGE.unpack_from(data, at + HEADER.size)
                yield Socket(address, received, sent, inode)
                at += length + 3 & ~3
