"""Waits for conditions, and reserved ports. Tests never sleep for a fixed time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
BOUND_S = 60.0  # ends a failed test; no assertion depends on the speed of the machine


def until(
    condition: Callable[[], T | None], what: str, timeout_s: float = BOUND_S, every_s: float = 0.005
) -> T:
    """Block until `condition` returns a true value, and return it.

    what: the condition in words. Fails with AssertionError after `timeout_s` seconds.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"did not happen within {timeout_s} s: {what}"
        time.sleep(every_s)
    return found


@contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a port of 127.0.0.1 that refuses connections until the test, or a process of it, listens on it.

    A socket is bound to it and never listens, so the kernel gives the port to no other process. A server that
    requests it by number with SO_REUSEADDR can still listen.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
