"""Last call at a listener: nobody new may begin, and whoever has begun is let in.

Between the last accept (EAGAIN) and `close()` a connection can still complete, and `close()` resets it although its
client believes to be served: seen in one drain of twelve under churn, in every second one with more threads (the
GIL can be away for 5 ms in between). So the listener first stops taking new connections: clients get
"connection refused", as from a closed port.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from array import array

SO_BINDTOIFINDEX = 62
NO_INTERFACE = 2**31 - 1  # the number of no interface: the kernel asks for none
SO_ATTACH_FILTER = 26
# Classic BPF on the TCP header: flags byte (13) has SYN (2) → 0 bytes of it pass, else all do.
DROP_SYN_PROGRAM = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def stop_handshakes(listener: socket.socket) -> None:
    """Let `listener` start no new handshake; this holds for every process that shares the socket.

    Bound to an interface that does not exist, it matches no SYN. Handshakes in progress and connections in the accept
    queue are not affected. This needs no privilege (Linux 5.7). Of several listeners on one port (SO_REUSEPORT) the
    kernel may still choose it: a socket filter drops those SYNs, and the client's next SYN reaches another listener.
    Recent kernels (seen on 6.18) allow TCP filters to root only: there the small window described above remains.
    """
    program = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_SYN_PROGRAM))
    address, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(DROP_SYN_PROGRAM), address)
        )
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
