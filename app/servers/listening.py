"""Whether a port belongs to a server: who owns the sockets that listen on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

LISTEN = "0A"  # the state in /proc/net/tcp


def owns_port(pids: Iterable[int], port: int) -> bool | None:
    """Return whether all sockets that listen on the port belong to these processes; None: none listens.

    Every one of them must: with SO_REUSEPORT another server can share the port and get a part of the load.
    Sockets at all addresses of this machine count, because a wildcard receives what an address would.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for pid in pids:
        inodes -= socket_inodes(pid)
    return not inodes


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def socket_inodes(pid: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
