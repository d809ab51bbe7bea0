"""The listening sockets of a process."""

from __future__ import annotations

import contextlib
from pathlib import Path

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


def listeners(pid: int) -> list[str]:
    """Return the local addresses of the listening sockets of a process, as in /proc/net/tcp."""
    inodes = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(path.readlink()))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTEN and f"socket:[{words[9]}]" in inodes:
                found.append(words[1])
    return found
