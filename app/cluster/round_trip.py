"""The round trip of the network, as the kernel measures it during the handshake of TCP.

The kernel of the server completes the handshake, so the time does not depend on how busy the server is, and
the kernel of the client takes it (TCP_INFO), so it does not depend on this process either.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

CONNECTS = 5
TIMEOUT_S = 3.0
RTT_OFFSET = 68  # of tcpi_rtt, in µs, in struct tcp_info (linux/tcp.h): 8 bytes and 15 words are before it


async def round_trips_us(address: str, port: int) -> list[int]:
    """Return the round trip by each of several connects, in µs; empty: the server cannot be reached."""
    return await asyncio.to_thread(_round_trips_us, address, port)


def _round_trips_us(address: str, port: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for _ in range(CONNECTS):
            with socket.create_connection((address, port), TIMEOUT_S) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RTT_OFFSET + 4)
                found.append(struct.unpack_from("I", info, RTT_OFFSET)[0])
    return found
