"""Connections that come and go in every way: served, idle, cut short, malformed, reset within a response.

Nothing of them may be left: no descriptor, no memory, and no wrong response to another client.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from .crowds import connect_from
from .driver import GET, HOST, Answer, Engine, take_answer, until

AT_ONCE = 52  # connections open at the same time: four of each kind of visit
SOURCES = 20  # addresses 127.0.0.x, each with its own ephemeral ports
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST
BODY = bytes(range(256)) * 6


@dataclass(frozen=True)
class Visit:
    """One connection: what it sends, how many responses it waits for, and how it ends."""

    says: bytes = b""
    answers: int = 0
    status: int = 200
    resets: bool = False
    half_closes: bool = False


POST = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(BODY)
LARGE = b"GET /bytes?n=200000 HTTP/1.1\r\n" + HOST + b"\r\n"
VISITS = (
    Visit(),
    Visit(resets=True),
    Visit(GET[:-2]),
    Visit(GET[:20], resets=True),
    Visit(POST + BODY[:700], resets=True),
    Visit(POST + BODY, answers=1),
    Visit(GET, answers=1),
    Visit(GET, answers=1, half_closes=True),
    Visit(GET),  # leaves before the answer
    Visit(GET * 30, answers=30, resets=True),
    Visit(GET * 30, answers=7, resets=True),
    Visit(LARGE * 3, answers=1, resets=True),
    Visit(b"GET / HTTP/1.1\r\nHost : space\r\n\r\n", answers=1, status=400),
)


class Visitor:
    """A connection that makes one visit."""

    def __init__(self, port: int, visit: Visit, source: int) -> None:
        self._visit = visit
        self._sock = connect_from(source, port)

    def ask(self) -> None:
        with contextlib.suppress(ConnectionError):  # a refusal may close before all is said
            self._sock.sendall(self._visit.says)
        if self._visit.half_closes:
            self._sock.shutdown(socket.SHUT_WR)

    def read(self) -> int:
        """Wait for the answers; answers how many of them were missing or wrong."""
        data = bytearray()
        right = 0
        for _ in range(self._visit.answers):
            answer = self._answer(data)
            right += answer is not None and self._is_right(answer)
        return self._visit.answers - right

    def _answer(self, data: bytearray) -> Answer | None:
        while (answer := take_answer(data)) is None:
            try:
                more = self._sock.recv(1 << 20)
            except OSError:
                return None
            if not more:
                return None
            data += more
        return answer

    def _is_right(self, answer: Answer) -> bool:
        return answer.status == self._visit.status and (BODY not in self._visit.says or answer.body == BODY)

    def leave(self) -> None:
        if self._visit.resets:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._sock.close()


def churn(engine: Engine, connections: int, seed: int = 1) -> int:
    """Make so many visits of all kinds; return how many responses were missing or wrong."""
    chance = random.Random(seed)
    wrong = 0
    for begun in range(0, connections, AT_ONCE):
        visits = [*VISITS] * (AT_ONCE // len(VISITS))
        chance.shuffle(visits)
        visitors = [Visitor(engine.port, visit, 1 + (begun + i) % SOURCES) for i, visit in enumerate(visits)]
        for visitor in visitors:
            visitor.ask()
        for visitor in visitors:
            wrong += visitor.read()
            visitor.leave()
    return wrong


@dataclass(frozen=True)
class Held:
    """What an engine holds without connections."""

    descriptors: int
    threads: int
    anonymous_kib: int

    def is_within(self, other: Held) -> bool:
        """As few descriptors and threads; memory is another matter."""
        return self.descriptors <= other.descriptors and self.threads <= other.threads


def held(engine: Engine, at_start: Held | None = None) -> Held:
    """Once everybody has been let go; and, after churn, what they had is given back."""
    until(lambda: engine.held() == 0, "no connection is held")
    if at_start:  # a thread has left the board a moment before its socket is closed and the kernel forgets it
        until(lambda: _now(engine).is_within(at_start), f"only {at_start} is held")
    return _now(engine)


def _now(engine: Engine) -> Held:
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in engine.pids)
    return Held(descriptors, engine.threads(), sum(map(anonymous_kib, engine.pids)))


def anonymous_kib(pid: int) -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])
