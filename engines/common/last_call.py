"""Last call at a listener: nobody new may begin, and whoever has begun is let in.

Between the last accept (EAGAIN) and `close()` a connection can still complete, and `close()` resets it although its
client believes to be served: seen in one drain of twelve under churn, in every second one with more threads (the
GIL can be away for 5 ms in between). So new handshakes are dropped first: their clients try again, and are refused.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from array import array

SO_ATTACH_FILTER = 26
# Classic BPF on the TCP header: flags byte (13) has SYN (2) → 0 bytes of it pass, else all do.
INSTRUCTIONS = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def refuse_newcomers(listener: socket.socket) -> None:
    """Let `listener` complete no handshake that has not begun. Where that cannot be had, the small window stays."""
    program = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in INSTRUCTIONS))
    address, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(INSTRUCTIONS), address))
