"""An engine that must stop while 64 connections are active: what it had accepted, and what became of it.

What counts as lost is what a client can know (see test_drain): a request on a kept connection whose last
response had no `Connection: close`, or one on a connection that was made before the signal. What begins after
the signal may be refused, or reset before any byte of a response; a response that is cut short is lost,
whenever it began.

A kept connection that has sent nothing 0.1 s after the signal is closed. On a busy machine the client can be
as late as that: what it sends then is refused, not lost.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from engines.common.connection_table import DRAIN_IDLE_S

from .crowds import Asker, Askers, asking
from .driver import GET, GREETING, HOST, PATIENCE_S, Answer, Engine

BODY = b"x" * 3000
ECHO = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def get(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


# What is asked, and how long the body of its answer must be.
WORK = (
    (GET, len(GREETING)),
    (ECHO, len(BODY)),
    (get(b"/bytes?n=60000"), 60_000),
    (get(b"/hash?us=200"), None),
    (get(b"/sleep?ms=1"), len(b"slept 1 ms\n")),
)
SIZES = dict(WORK)


@dataclass(frozen=True)
class Drained:
    """The result of one drain."""

    answered: int
    lost: tuple[str, ...]
    refused: int
    seconds: float  # from the signal to the end of the process
    code: int
    stderr: str


class Load:
    """A closed loop of many connections with random work, and the signal in the middle."""

    def __init__(self, engine: Engine, askers: Askers, seed: int) -> None:
        self._engine, self._askers = engine, askers
        self._chance = random.Random(seed)
        self._signal_at = 700 + self._chance.randrange(600)  # answers
        self._asked: dict[Asker, int | None] = {}  # how long the next answer's body must be
        self._before: set[Asker] = set()  # who was connected before the signal
        self.told_s = 0.0
        self.answered = 0
        self.wrong: list[str] = []

    def ask(self, asker: Asker) -> None:
        request, size = self._chance.choice(WORK)
        self._asked[asker] = size
        asker.ask(request)

    def note(self, asker: Asker) -> Answer:
        """Count a response; after enough of them the engine gets the signal, while others are active."""
        answer, size = asker.answers[-1], self._asked[asker]
        self.answered += 1
        if answer.status != 200 or size not in (None, len(answer.body)):
            self.wrong.append(f"{answer.status} of {len(answer.body)} bytes")
        if self.answered == self._signal_at:
            self._before = set(self._askers.all)
            self.told_s = time.monotonic()
            self._engine.tell(signal.SIGTERM)
        return answer

    def run(self, then: Callable[[Asker], None]) -> None:
        """Until the engine has closed every connection."""
        for asker in self._askers.all:
            self.ask(asker)
        ends = time.monotonic() + 2 * PATIENCE_S
        while self._askers.open:
            assert time.monotonic() < ends, "it keeps connections open"
            self._askers.turn(then)

    def was_in_time(self, asker: Asker) -> bool:
        """Connected before the signal, and did not stay silent for long after it."""
        return asker in self._before and asker.asked_s < self.told_s + DRAIN_IDLE_S / 2

    def lost(self) -> tuple[str, ...]:
        """Requests that were taken, and not answered whole: what became of each."""
        cut = [f"cut after {len(asker.data)} bytes" for asker in self._askers.all if asker.data]
        unanswered = [
            f"sent {1000 * (asker.asked_s - self.told_s):+.0f} ms: {asker.error or 'closed'}"
            for asker in self._askers.all
            if asker.waiting and not asker.data and self.was_in_time(asker)
        ]
        return (*cut, *unanswered, *self.wrong)

    def refused(self) -> int:
        waiting = [asker for asker in self._askers.all if asker.waiting and not asker.data]
        return sum(not self.was_in_time(asker) for asker in waiting)


def drain_under_load(engine: Engine, connections: int, seed: int) -> Drained:
    """Each connection is kept, and sends requests until a response closes it."""
    with asking(engine, connections) as askers:
        load = Load(engine, askers, seed)

        def again(asker: Asker) -> None:
            if load.note(asker).closes:
                asker.hang_up()  # as a client does; else the engine waits a second for it
            else:
                load.ask(asker)

        load.run(again)
        return _drained(engine, load)


def drain_under_churn(engine: Engine, connections: int, seed: int) -> Drained:
    """Each connection sends one request, and another follows it."""
    with asking(engine, connections) as askers:
        load = Load(engine, askers, seed)

        def another(asker: Asker) -> None:
            load.note(asker)
            asker.hang_up()
            with contextlib.suppress(OSError):
                load.ask(askers.add(Asker(engine.port)))

        load.run(another)
        return _drained(engine, load)


def _drained(engine: Engine, load: Load) -> Drained:
    ended = engine.wait()
    seconds = time.monotonic() - load.told_s
    return Drained(load.answered, load.lost(), load.refused(), seconds, ended.code, ended.stderr)
