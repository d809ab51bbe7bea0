"""Nothing grows without a bound, and nobody may hold an engine by doing nothing, or by doing it slowly."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from .conftest import Starter
from .crowds import allow_descriptors, asking
from .driver import GET, GREETING, HOST, VARIANTS, Client, Engine, Variant, cores_used, running, until

MIB = 1024 * 1024
HASTY = {"idle_s": 1, "header_s": 1, "body_s": 1, "write_s": 1}
LATE_S = 2.8  # a deadline of 1 s is looked at once a second, and this is a busy machine
WATCH_S = 4.0  # longer than any of those who must be closed may live
STEP_S = 0.2


# Deadlines


@dataclass
class Fate:
    """A client with a habit: what it does at every step, and after how many seconds it was closed (inf: never)."""

    client: Client
    habit: Callable[[Client, int], None]
    began_s: float = field(default_factory=time.monotonic)
    closed_s: float = math.inf
    said: bytes = b""

    def step(self, number: int) -> None:
        if self.closed_s < math.inf:
            return
        try:
            self.habit(self.client, number)
            while self.habit is not HABITS[READS_NOTHING] and self.client.readable():
                data = self.client.sock.recv(1 << 20)
                self.said += data
                if not data:
                    raise EOFError
        except (OSError, EOFError):
            self.closed_s = time.monotonic() - self.began_s


def silent(client: Client, step: int) -> None:
    pass


def once(data: bytes) -> Callable[[Client, int], None]:
    return lambda client, step: client.send(data) if step == 0 else None


def each(data: bytes, every: int = 1) -> Callable[[Client, int], None]:
    return lambda client, step: client.send(data) if step % every == 0 else None


def trickle(data: bytes) -> Callable[[Client, int], None]:
    """A byte at each step, so that no single read is ever late."""
    return lambda client, step: client.send(data[step : step + 1])


def body_trickle(client: Client, step: int) -> None:
    if step == 0:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
    client.send(b"x")


HABITS: dict[str, Callable[[Client, int], None]] = {
    "never asks": silent,
    "asks once": once(GET),
    "asks every 0.6 s": each(GET, every=3),
    "half a head": once(GET[:-2]),
    "head in bytes": trickle(b"GET / HTTP/1.1\r\nHost: " + b"x" * 1000),
    "half a body": once(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nbody"),
    "body in bytes": body_trickle,
    "body in small chunks": lambda client, step: client.send(
        b"1\r\nx\r\n" if step else b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    ),
    "reads nothing": once((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 8),
    "asks for long work": once(b"GET /sleep?ms=2200 HTTP/1.1\r\n" + HOST + b"\r\n"),
}
LET_BE = frozenset(("asks every 0.6 s", "asks for long work"))
READS_NOTHING = "reads nothing"
TIMED_OUT = frozenset(HABITS) - LET_BE - {READS_NOTHING}


@dataclass
class Watch:
    """What became of all who had habits with one engine, and how many it still held when nobody was let be."""

    fates: dict[str, Fate]
    held: int
    timeouts: int


@pytest.fixture(scope="module")
def watched() -> Iterator[dict[Variant, Watch]]:
    """Every kind of engine with deadlines of 1 s, and every habit at each, all at the same time."""
    with contextlib.ExitStack() as stack:
        engines = [stack.enter_context(running(v.with_knobs(**HASTY))) for v in VARIANTS if not unavailable(v)]
        fates: list[dict[str, Fate]] = []
        for engine in engines:
            # Where handlers run on the loop the long work would be everybody's: there nobody asks for it.
            habits = [habit for habit in HABITS if habit != "asks for long work" or not inline(engine.variant)]
            clients = [stack.enter_context(engine.connect(timeout_s=2, receive_buffer=4096)) for _ in habits]
            fates.append({habit: Fate(client, HABITS[habit]) for habit, client in zip(habits, clients, strict=True)})
        began = time.monotonic()
        for step in range(round(WATCH_S / STEP_S)):
            for fate in (fate for by_habit in fates for fate in by_habit.values()):
                fate.step(step)
            select.select([], [], [], max(0.0, began + (step + 1) * STEP_S - time.monotonic()))
        for by_habit in fates:
            for habit in LET_BE & set(by_habit):
                by_habit[habit].client.sock.close()
        with contextlib.suppress(AssertionError):
            until(lambda: not any(engine.held() for engine in engines), "nobody is held", 2)
        assert [engine.process.poll() for engine in engines] == [None] * len(engines)
        yield {
            engine.variant: Watch(by_habit, engine.held(), engine.board().counters["timeouts"])
            for engine, by_habit in zip(engines, fates, strict=True)
        }


def unavailable(variant: Variant) -> bool:
    from engines.catalogue import lessons

    return lessons()[variant.model].MODEL.why_unavailable() is not None


def inline(variant: Variant) -> bool:
    """Handlers run on the loop."""
    return not variant.pooled and variant.model != "blocking"


@pytest.fixture
def watch(watched: dict[Variant, Watch], variant: Variant) -> Watch:
    return watched[variant.with_knobs(**HASTY)]


@pytest.mark.parametrize("habit", sorted(TIMED_OUT))
def test_who_is_too_slow_is_closed(watch: Watch, habit: str) -> None:
    """The deadline is for the whole head and the whole body: bytes that trickle in do not extend it."""
    fate = watch.fates[habit]
    assert 0.9 <= fate.closed_s <= LATE_S
    assert b"HTTP/1.1 200" not in fate.said or habit == "asks once"


def test_who_reads_nothing_is_closed(watch: Watch) -> None:
    """The client itself cannot see it: the end stands behind the bytes that it does not read."""
    assert watch.held == 0
    assert watch.timeouts >= len(TIMED_OUT) + 1


def test_who_asks_in_time_is_not_closed(watch: Watch) -> None:
    fate = watch.fates["asks every 0.6 s"]
    assert fate.closed_s == math.inf
    assert fate.said.count(GREETING) >= 6


def test_who_waits_for_an_answer_is_not_idle(watch: Watch) -> None:
    fate = watch.fates.get("asks for long work")
    if fate is None:
        pytest.skip("here the handler runs on the loop, which cannot time anybody out meanwhile")
    assert b"slept 2200 ms" in fate.said


# Limits


def test_at_its_limit_of_connections_it_waits_for_room(start: Starter, variant: Variant) -> None:
    limit = {"max_threads": 8} if variant.model == "blocking" else {"max_connections": 8}
    engine = start(variant.with_knobs(**limit))
    with contextlib.ExitStack() as stack:
        inside = [stack.enter_context(engine.connect()) for _ in range(8)]
        for client in inside:
            assert client.ask().body == GREETING
        outside = [stack.enter_context(engine.connect()) for _ in range(4)]
        for client in outside:
            client.send(GET)
        until(lambda: engine.board().saturated, "it says that it is full")
        assert not any(client.readable() for client in outside)
        assert idle_cores(engine) < 0.1, "it does not spin"
        for leaving, coming in zip(inside, outside, strict=False):
            leaving.sock.close()
            assert coming.answer().body == GREETING
        for client in inside[4:]:
            assert client.ask().body == GREETING
            client.sock.close()
        until(lambda: not engine.board().saturated, "there is room again")
        assert engine.board().accept_pauses >= 1


def test_a_burst_does_not_pass_the_limit(start: Starter, variant: Variant) -> None:
    limit = {"max_threads": 8} if variant.model == "blocking" else {"max_connections": 8}
    engine = start(variant.with_knobs(**limit))
    with contextlib.ExitStack() as stack:
        with engine.frozen():
            clients = [stack.enter_context(engine.connect()) for _ in range(30)]
        until(lambda: engine.held() >= 8, "it is full")
        assert clients[0].ask().body == GREETING
        assert engine.held() == 8
        for client in clients:
            assert client.ask().body == GREETING
            client.sock.close()


def test_out_of_descriptors_it_waits_without_spinning(start: Starter, variant: Variant) -> None:
    engine = start(variant, shell="ulimit -n 64")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(100)]
        until(lambda: engine.board().out_of_descriptors, "it says that it is out of descriptors")
        until(lambda: engine.held() >= 20, "what could be accepted is held")
        assert clients[0].ask().body == GREETING, "whoever is in is served"
        assert idle_cores(engine) < 0.2, "it does not spin"
        for client in clients:
            assert client.ask().body == GREETING
            client.sock.close()
        until(lambda: not engine.board().out_of_descriptors, "there are descriptors again")
        until(lambda: engine.held() == 0, "all are closed")
        with engine.connect() as late:
            assert late.ask().body == GREETING


def idle_cores(engine: Engine) -> float:
    """Cores it uses in half a second in which nobody asks for anything."""
    return cores_used(engine, lambda: select.select([], [], [], 0.5) and None)


def test_a_thousand_idle_connections_and_64_active(start: Starter, variant: Variant) -> None:
    allow_descriptors()
    engine = start(variant)
    with asking(engine, 1000) as idle, asking(engine, 64) as active:
        for asker in idle.all:
            asker.ask()
        idle.settle()
        assert idle.answers == 1000, "all of them were served once"
        active.ask_until(lambda: active.answers >= 64 * 30, "64 ask 30 times each")
        active.settle()
        assert active.open == 64
        assert {answer.status for asker in active.all for answer in asker.answers} == {200}
        assert engine.held() == 1064
        assert idle.open == 1000


# A peer that does not read


def test_what_is_held_for_a_peer_that_does_not_read_is_bounded(start: Starter, variant: Variant) -> None:
    """It stops reading from a peer that takes no answers, so the peer's own kernel stops it; then all is answered."""
    engine = start(variant.with_knobs(write_s=600, idle_s=600))
    request = b"GET /bytes?n=100000 HTTP/1.1\r\n" + HOST + b"\r\n"
    with engine.connect(receive_buffer=4096) as greedy, engine.connect() as other:
        assert other.ask().body == GREETING
        before = engine.rss_mib()
        asked = ask_without_reading(greedy.sock, request * 100)
        assert other.ask().body == GREETING
        assert engine.rss_mib() - before < 30
        whole = asked // len(request)
        assert whole * 100_000 > 100 * MIB, "its answers would not fit where they are bounded"
        greedy.sock.settimeout(15)
        for _ in range(20):
            assert len(greedy.answer().body) == 100_000
        assert other.ask().body == GREETING


def ask_without_reading(sock: socket.socket, requests: bytes) -> int:
    """Send until nothing more is taken for half a second; answers how many bytes were."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.5)[1] and sent < 64 * MIB:
        sent += sock.send(requests[sent % len(requests) :])
    assert sent < 64 * MIB, "it takes requests for ever"
    return sent
