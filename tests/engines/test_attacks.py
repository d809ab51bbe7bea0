"""Slow heads, slow bodies and slow readers are timed out, and delay no other client.

The short form of `make soak`, in which slowhttptest attacks for minutes.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .conftest import Starter
from .crowds import allow_descriptors, ask_once
from .driver import GET, HOST, PATIENCE_S, Engine, Variant, until

STEP_S = 0.05
HASTY = {"header_s": 1, "body_s": 1, "write_s": 1, "idle_s": 1}
HEAD = b"GET / HTTP/1.1\r\n" + HOST + b"X-Slow: "
POST = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n"
LARGE = (b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 6
FEW_THREADS = Variant("blocking", (("max_threads", 40),))


@dataclass(eq=False)
class Attacker:
    """A connection that sends `opening`, and then a few bytes at each step."""

    sock: socket.socket
    opening: bytes
    drop: bytes
    open: bool = True

    def step(self, first: bool) -> None:
        try:
            self.sock.send(self.opening if first else self.drop)
        except OSError:
            self.open = False  # the engine has had enough


@contextlib.contextmanager
def attackers(engine: Engine, heads: int, bodies: int, readers: int) -> Iterator[list[Attacker]]:
    """Connect all attackers. Slow readers send everything at once, and read nothing."""
    kinds = [(HEAD, b"x")] * heads + [(POST, b"x")] * bodies + [(LARGE, b"")] * readers
    with contextlib.ExitStack() as stack:
        all_ = []
        for opening, drop in kinds:
            client = engine.connect(receive_buffer=4096)
            stack.enter_context(client)
            client.sock.setblocking(False)
            all_.append(Attacker(client.sock, opening, drop))
        yield all_


def test_slow_attackers_are_closed_and_delay_no_other_client(start: Starter, variant: Variant) -> None:
    allow_descriptors()
    engine = start(variant.with_knobs(**HASTY))
    with attackers(engine, heads=90, bodies=90, readers=20) as all_:
        for attacker in all_:
            attacker.step(first=True)

        def all_closed() -> bool:
            for attacker in all_:
                if attacker.open and attacker.drop:
                    attacker.step(first=False)
            assert ask_once(engine.port, PATIENCE_S) is not None, "others are answered"
            return engine.held() == 0

        until(all_closed, "they are closed", every_s=STEP_S)
    until(lambda: engine.board().counters["timeouts"] >= len(all_), "each was counted as a timeout")


@pytest.mark.parametrize("few", [FEW_THREADS], ids=lambda variant: variant.name)
def test_more_attackers_than_threads_saturate_blocking_until_they_time_out(
    start: Starter, few: Variant
) -> None:
    """The cost of a thread per connection: blocking reports saturation, and recovers."""
    engine = start(few.with_knobs(header_s=600))
    with attackers(engine, heads=60, bodies=0, readers=0) as all_:
        for attacker in all_:
            attacker.step(first=True)
        until(lambda: engine.board().saturated, "it says that it is full")
        assert engine.held() == 40
        with engine.connect() as outside:
            outside.send(GET)
            until(engine.is_asleep, "it has done all that it can")
            assert not outside.readable(), "no other client is served"
    assert ask_once(engine.port, PATIENCE_S) is not None, "it is back"
    until(lambda: not engine.board().saturated, "it says so")
