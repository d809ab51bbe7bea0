"""Waiting for a condition, and ports that nobody else can take meanwhile. Tests never sleep."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
BOUND_S = 60.0  # only ends a test that has failed: no assertion depends on how fast the machine is


def until(
    condition: Callable[[], T | None], what: str, deadline_s: float = BOUND_S, every_s: float = 0.005
) -> T:
    """Wait until `condition` returns something true, and return that; the deadline only bounds a failure."""
    ends = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < ends, f"did not happen within {deadline_s} s: {what}"
        time.sleep(every_s)
    return found


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections until the test (or a process of it) listens there.

    The socket that holds it is bound and never listens, so the kernel gives the port to no other process, while one
    that asks for it by number with SO_REUSEADDR, as our servers do, may still listen.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
