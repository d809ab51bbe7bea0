"""A cable between two network namespaces that delays packets in one direction, as `tc netem` would.

    python -m tests.app.cluster.slow_cable FROM TO DELAY_MS

It makes an interface `slow` in each namespace (TAP, /dev/net/tun), prints a line when both are there, and
copies packets until a signal ends it. Not every kernel has netem.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from pathlib import Path

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
FRAME_BYTES = 65_536
NAME = "slow"


def open_tap(namespace: str) -> int:
    """Return the descriptor of a new interface in a namespace; this process stays in it."""
    with Path(f"/run/netns/{namespace}").open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def copy(source: int, target: int, delay_s: float) -> None:
    """Copy packets between two interfaces for ever; those from `source` arrive after `delay_s`."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        timeout_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([source, target], [], [], timeout_s)
        if source in ready:
            waiting.append((time.monotonic() + delay_s, os.read(source, FRAME_BYTES)))
        if target in ready:
            os.write(source, os.read(target, FRAME_BYTES))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(target, waiting.popleft()[1])


def main() -> None:
    source, target = open_tap(sys.argv[1]), open_tap(sys.argv[2])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    copy(source, target, float(sys.argv[3]) / 1000)


if __name__ == "__main__":
    main()
