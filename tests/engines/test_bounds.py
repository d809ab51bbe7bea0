"""Nothing grows without a bound, and nobody may hold an engine by doing nothing, or by doing it slowly."""

from __future__ import annotations

import contextlib
import itertools
import math
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engines.common.board import BLOCKED

from .conftest import Starter, variants
from .crowds import allow_descriptors, asking
from .driver import GET, GREETING, HOST, VARIANTS, Client, Engine, Variant, cores_used, running, until

MIB = 1024 * 1024
HASTY = {"idle_s": 1, "header_s": 1, "body_s": 1, "write_s": 1}
LATE_S = 10.0  # a deadline of 1 s is looked at once a second; the rest is for a busy machine
WATCH_S = 3.6  # at least, for those who must not be closed
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
    stepped_s: float = field(default_factory=time.monotonic)
    longest_step_s: float = 0.0  # a busy machine can make the client itself late

    @property
    def sees(self) -> bool:
        return self.habit not in {HABITS[name] for name in CANNOT_SEE}

    def step(self, number: int) -> None:
        if self.closed_s < math.inf:
            return
        now_s = time.monotonic()
        self.longest_step_s, self.stepped_s = max(self.longest_step_s, now_s - self.stepped_s), now_s
        try:
            self.habit(self.client, number)
            while self.sees and self.client.readable():
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


def read_in_drops(client: Client, step: int) -> None:
    """It does take something all the time, so no single write is ever stuck for long."""
    if step == 0:
        client.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 8)
    elif client.readable():
        client.sock.recv(1000)


LONG_WORK = "asks for long work"
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
    "asks once, then half a head": lambda client, step: client.send(
        GET if step == 0 else b"x" if step > 1 else b"GET /"
    ),
    "reads in drops": read_in_drops,
    "reads nothing": once((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 8),
    LONG_WORK: once(b"GET /sleep?ms=2200 HTTP/1.1\r\n" + HOST + b"\r\n"),
}
LET_BE = frozenset(("asks every 0.6 s", LONG_WORK))
# They are closed, and do not see it: the end stands behind what they do not read.
CANNOT_SEE = frozenset(("reads nothing", "reads in drops"))
TIMED_OUT = frozenset(HABITS) - LET_BE - CANNOT_SEE


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
            habits = [habit for habit in HABITS if habit != LONG_WORK or not inline(engine.variant)]
            clients = [stack.enter_context(engine.connect(timeout_s=2, receive_buffer=4096)) for _ in habits]
            fates.append({habit: Fate(client, HABITS[habit]) for habit, client in zip(habits, clients, strict=True)})
        watch_all(fates)
        for by_habit in fates:
            for habit in LET_BE & set(by_habit):
                by_habit[habit].client.sock.close()
        with contextlib.suppress(AssertionError):
            until(lambda: not any(engine.held() for engine in engines), "nobody is held", LATE_S)
        assert [engine.process.poll() for engine in engines] == [None] * len(engines)
        yield {
            engine.variant: Watch(by_habit, engine.held(), engine.board().counters["timeouts"])
            for engine, by_habit in zip(engines, fates, strict=True)
        }


def watch_all(fates: list[dict[str, Fate]]) -> None:
    """Step by step, until all are closed who must be."""
    began = time.monotonic()
    for step in itertools.count():
        for fate in (fate for by_habit in fates for fate in by_habit.values()):
            fate.step(step)
        watched_s = time.monotonic() - began
        late = any(by_habit[habit].closed_s == math.inf for by_habit in fates for habit in TIMED_OUT)
        late |= any(LONG_WORK in by_habit and b"slept" not in by_habit[LONG_WORK].said for by_habit in fates)
        if watched_s > LATE_S or (watched_s > WATCH_S and not late):
            return
        select.select([], [], [], max(0.0, began + (step + 1) * STEP_S - time.monotonic()))


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
    assert b"HTTP/1.1 200" not in fate.said or habit.startswith("asks once")


def test_who_does_not_read_is_closed(watch: Watch) -> None:
    """Nor is somebody let be who takes a few bytes now and then."""
    assert watch.held == 0
    assert watch.timeouts >= len(TIMED_OUT) + len(CANNOT_SEE)


def test_who_asks_in_time_is_not_closed(watch: Watch) -> None:
    fate = watch.fates["asks every 0.6 s"]
    skip_if_late(fate)
    assert fate.closed_s == math.inf
    assert fate.said.count(GREETING) >= 6


def test_who_waits_for_an_answer_is_not_idle(watch: Watch) -> None:
    fate = watch.fates.get(LONG_WORK)
    if fate is None:
        pytest.skip("here the handler runs on the loop, which cannot time anybody out meanwhile")
    skip_if_late(fate)
    assert b"slept 2200 ms" in fate.said


def skip_if_late(fate: Fate) -> None:
    """Such a client may be closed, and rightly."""
    if fate.longest_step_s > 2 * STEP_S:
        pytest.skip(f"this machine made the client itself late ({fate.longest_step_s:.1f} s between two steps)")


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
        assert engine.board().accept_pauses >= 1
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


def test_the_kernel_holds_little_for_a_peer_that_does_not_read(start: Starter, variant: Variant) -> None:
    """What it does not take lies with the engine, where it is bounded, and not in 4 MB of a socket's send buffer."""
    engine = start(variant.with_knobs(write_s=600, idle_s=600))
    with engine.connect(receive_buffer=4096) as greedy:
        greedy.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 6)
        until(greedy.readable, "the first answer begins")
        sizes = [-1, sent_and_not_taken(engine.port)]
        until(lambda: is_stuck(engine.port, sizes), "it sends no more")
        assert 0 < sizes[-1] < MIB, sizes


def is_stuck(port: int, sizes: list[int]) -> bool:
    """Look again a moment later: is it still as much?"""
    select.select([], [], [], 0.3)
    sizes.append(sent_and_not_taken(port))
    return sizes[-1] == sizes[-2]


def sent_and_not_taken(port: int) -> int:
    """Bytes in the send queues of this port's connections, as the kernel tells them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [row[4].partition(":")[0] for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[3] == "01"]
    return sum(int(queue, 16) for queue in queues)


# What a second reader of the code found


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled))
def test_bodies_read_ahead_of_a_busy_handler_are_bounded(start: Starter, kind: Variant) -> None:
    engine = start(kind.with_knobs(workers=1))
    with engine.connect() as client:
        assert client.ask().status == 200
        before = engine.rss_mib()
        client.send(b"GET /sleep?ms=1500 HTTP/1.1\r\n" + HOST + b"\r\n")
        client.sock.setblocking(False)
        body = b"x" * 1_000_000
        request = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + body
        sent = 0
        ends_s = time.monotonic() + 1.0
        while time.monotonic() < ends_s:  # as much as it takes while the handler sleeps
            try:
                sent += client.sock.send(request[sent % len(request) :])
            except BlockingIOError:
                select.select([], [client.sock], [], 0.05)
        assert engine.rss_mib() - before < 30, f"{sent:,} bytes taken"


@pytest.mark.parametrize("kind", variants(lambda v: v.name in ("blocking", "reactor", "reactor-pool", "proactor")))
def test_a_refused_peer_that_trickles_on_is_let_go(start: Starter, kind: Variant) -> None:
    engine = start(kind)
    with engine.connect() as client:
        client.send(b"GET / HTTP/9.9\r\n" + HOST + b"\r\n")
        assert client.answer().status == 505

        def gone() -> bool:
            with contextlib.suppress(OSError):
                client.send(b"x")
                return False
            return True

        until(gone, "it is closed, whatever still comes")


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled and v.model != "main-sub"))
def test_a_peer_that_we_make_wait_does_not_expire(start: Starter, kind: Variant) -> None:
    """Also when the loop looks late: the whole engine was stopped for longer than `idle_s`."""
    engine = start(kind.with_knobs(idle_s=1))
    with engine.connect() as client:
        assert client.ask().status == 200
        client.send(b"GET /sleep?ms=3000 HTTP/1.1\r\n" + HOST + b"\r\n")
        until(lambda: any(thread.state == BLOCKED for thread in engine.board().threads), "the handler sleeps")
        engine.tell(signal.SIGSTOP)
        try:
            time.sleep(2.2)  # a stop of this length is what is tested
        finally:
            engine.tell(signal.SIGCONT)
        assert client.answer().status == 200


def test_each_request_has_its_own_time_to_arrive(start: Starter) -> None:
    """A client whose every write ends within a request is never between two."""
    engine = start(Variant("blocking").with_knobs(header_s=1))
    with engine.connect() as client:
        client.send(GET[:10])
        ends_s = time.monotonic() + 2.5
        while time.monotonic() < ends_s:
            client.send(GET[10:] + GET[:10])
            assert client.answer().status == 200


def test_blocking_outlives_a_lack_of_threads(start: Starter) -> None:
    """Stacks of 8 MiB in an address space that has room for few: those who got a thread are served, and later all."""
    engine = start(Variant("blocking").with_knobs(stack_kib=8192), shell="ulimit -v 700000")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(120)]
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(GET)
        until(lambda: engine.board().saturated, "it says that it is full")
        assert any(client.readable(1) and client.answer().status == 200 for client in clients[:5])
    until(lambda: served(engine), "there is room again")


def served(engine: Engine) -> bool:
    try:
        with engine.connect() as client:
            return client.ask().status == 200
    except (OSError, AssertionError):
        return False
