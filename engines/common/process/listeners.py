"""The listening sockets of an engine: one for all its threads, or one for each of its processes.

With SO_REUSEPORT several sockets listen on one port, each with its own accept queue, and the kernel chooses
one by the hash of a connection's addresses. A socket that is bound and does not listen holds the port for
them: no SYN reaches it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from engines.common.contract import listens_by_itself

UNSENT_BYTES = 128 * 1024


class CannotListen(Exception):
    """The address cannot be bound. The message has the address and the reason."""


def open_listener(host: str, port: int, knobs: Mapping[str, Any], fd: int | None = None) -> socket.socket:
    """Return the socket for `serve()`: the inherited descriptor `fd`, or a new one on this address.

    It listens, unless the processes of the engine listen by themselves. Raises CannotListen.
    """
    if fd is not None:
        return _configured(socket.socket(fileno=fd))
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=int(knobs["backlog"]))
        if listens_by_itself(knobs):
            # The port was free: with SO_REUSEPORT alone, bind would share it with another engine.
            with listener:
                address = listener.getsockname()
            listener = _bound(family, address)
        return _configured(listener)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}:{port}: {reason}") from error


def listen_beside(holder: socket.socket, backlog: int) -> socket.socket:
    """Return a socket with its own accept queue on the port that `holder` holds (SO_REUSEPORT)."""
    dual_stack = holder.family == socket.AF_INET6 and not holder.getsockopt(
        socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
    )
    listener = _bound(holder.family, holder.getsockname(), dual_stack)
    listener.listen(backlog)
    return _configured(listener)


def _bound(family: int, address: Any, dual_stack: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual_stack)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _configured(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    # Also inherited: unsent bytes stay in this process, which limits them, not in 4 MB of kernel memory.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return listener
