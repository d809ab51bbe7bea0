"""Last call at a listener: nobody new may begin, and whoever has begun is let in.

Between the last accept (EAGAIN) and `close()` a connection can still complete, and `close()` resets it although its
client believes to be served: seen in one drain of twelve under churn, in every second one with more threads (the
GIL can be away for 5 ms in between). So newcomers are refused first, as if nobody listened any more.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from array import array

SO_BINDTOIFINDEX = 62
NOWHERE = 2**31 - 1  # the number of no interface: the kernel asks for none
SO_ATTACH_FILTER = 26
# Classic BPF on the TCP header: flags byte (13) has SYN (2) → 0 bytes of it pass, else all do.
INSTRUCTIONS = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def refuse_newcomers(listener: socket.socket) -> None:
    """Let `listener` complete no handshake that has not begun, also in other processes that have it.

    Bound to an interface that is not there it hears no SYN, and newcomers are refused; handshakes that have begun, and
    connections that wait to be accepted, have left it already. That needs no privilege (Linux 5.7). But of several
    listeners on one port (SO_REUSEPORT) the kernel still chooses it: a filter drops those SYNs, and their clients try
    again with the others. Newer kernels let only root filter TCP: there that small window stays.
    """
    program = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in INSTRUCTIONS))
    address, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(INSTRUCTIONS), address))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NOWHERE)
