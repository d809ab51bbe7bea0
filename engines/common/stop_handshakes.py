"""Stops new TCP handshakes on a listener, so that closing it resets no connection.

Between the last accept (EAGAIN) and `close()` a handshake can complete, and `close()` resets that connection
although the client believes it is established: seen in one of twelve drains under churn, and in every second
one with more threads (the GIL can be away for 5 ms in between). So the listener first stops accepting
handshakes: clients get "connection refused", as from a closed port.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from array import array

SO_BINDTOIFINDEX = 62
NO_INTERFACE = 2**31 - 1  # an interface index that is not in use; the kernel does not check it
SO_ATTACH_FILTER = 26
# Classic BPF on the TCP header: if the flags (byte 13) have SYN (2), drop the packet, else pass it.
DROP_SYN_PROGRAM = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def stop_handshakes(listener: socket.socket) -> None:
    """Let `listener` start no new handshake, for every process that shares the socket.

    A socket bound to an interface that does not exist matches no SYN. Handshakes in progress and connections
    in the accept queue are not affected. No privilege is needed (Linux 5.7). If several sockets listen on the
    port (SO_REUSEPORT), the kernel may still choose this one: a socket filter drops those SYNs, and the
    client's next SYN reaches another listener. Recent kernels (seen on 6.18) allow TCP filters to root only;
    there the race described above remains.
    """
    program = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_SYN_PROGRAM))
    address, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(DROP_SYN_PROGRAM), address)
        )
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
