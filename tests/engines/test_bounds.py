"""Every resource is bounded, and no client can occupy an engine by being idle or slow."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engines.common.http.body_budget import BODIES_LIMIT

from .conftest import Starter, is_model, variants
from .crowds import allow_descriptors, asking
from .driver import GET, GREETING, HOST, Client, Engine, Variant, until

MIB = 1024 * 1024
HASTY = {"idle_s": 1, "header_s": 1, "body_s": 1, "write_s": 1}
STEP_S = 0.02
LARGE = (b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 8


# Deadlines


Habit = Callable[[Client, int], None]


def silent(client: Client, step: int) -> None:
    pass


def once(data: bytes) -> Habit:
    return lambda client, step: client.send(data) if step == 0 else None


def trickle(data: bytes) -> Habit:
    """Send one byte at each step, so that no single read exceeds its timeout."""
    return lambda client, step: client.send(data[step : step + 1])


def body_trickle(client: Client, step: int) -> None:
    if step == 0:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
    client.send(b"x")


def read_in_drops(client: Client, step: int) -> None:
    """Read a few bytes all the time, so that no single write blocks for long."""
    if step == 0:
        client.send(LARGE)
    elif client.readable():
        client.sock.recv(1000)


HABITS: dict[str, Habit] = {
    "never asks": silent,
    "asks once": once(GET),
    "half a head": once(GET[:-2]),
    "head in bytes": trickle(b"GET / HTTP/1.1\r\nHost: engine\r\nX: " + b"x" * 7000),
    "half a body": once(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nbody"),
    "body in bytes": body_trickle,
    "body in small chunks": lambda client, step: client.send(
        b"1\r\nx\r\n" if step else b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    ),
    "asks once, then half a head": lambda client, step: client.send(
        GET if step == 0 else b"x" if step > 1 else b"GET /"
    ),
    "reads in drops": read_in_drops,
    "reads nothing": once(LARGE),
}
CANNOT_SEE = ("reads nothing", "reads in drops")  # the end stands behind what they do not read


@dataclass
class Fate:
    """A kind of slow client, and what it receives."""

    client: Client
    name: str
    connecting_s: float
    closed_s: float | None = None  # after its connect() began
    received: bytes = b""

    def step(self, number: int) -> None:
        if self.closed_s is not None:
            return
        try:
            HABITS[self.name](self.client, number)
            while self.name not in CANNOT_SEE and self.client.readable():
                data = self.client.sock.recv(1 << 20)
                self.received += data
                if not data:
                    raise EOFError
        except (OSError, EOFError):
            self.closed_s = time.monotonic() - self.connecting_s


def test_clients_that_exceed_a_timeout_are_closed(start: Starter, variant: Variant) -> None:
    """The deadline is for the whole head, the whole body and the whole response.

    Neither bytes that trickle in nor a client that reads a few bytes now and then extends it.
    """
    engine = start(variant.with_knobs(**HASTY))
    with contextlib.ExitStack() as stack:
        fates = []
        for name in HABITS:
            connecting_s = time.monotonic()
            client = stack.enter_context(engine.connect(timeout_s=2, receive_buffer=4096))
            fates.append(Fate(client, name, connecting_s))
        steps = iter(range(1_000_000))

        def all_closed() -> bool:
            step = next(steps)
            for fate in fates:
                fate.step(step)
            return step > 0 and engine.held() == 0

        until(all_closed, "every client is closed", every_s=STEP_S)
        all_closed()  # those that can see it have seen it
        for fate in fates:
            if fate.name not in CANNOT_SEE:
                assert fate.closed_s is not None, fate.name
                assert fate.closed_s >= 0.9, f"{fate.name}: it had a second"
            assert b"HTTP/1.1 200" not in fate.received or fate.name.startswith("asks once"), fate.name
        until(lambda: engine.board().counters["timeouts"] >= len(HABITS), "each was counted as a timeout")
        assert engine.board().counters["timeouts"] == len(HABITS), "and none was closed for another reason"


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled or v.model == "blocking", default=is_model))
def test_a_client_that_waits_for_its_answer_is_not_idle(start: Starter, kind: Variant) -> None:
    """Where handlers run on the loop, the loop cannot time any client out meanwhile."""
    engine = start(kind.with_knobs(**HASTY))
    with engine.connect() as client:
        assert client.ask("/sleep?ms=2200").body == b"slept 2200 ms\n"


# Limits


def test_at_the_connection_limit_an_engine_stops_accepting_until_one_closes(
    start: Starter, variant: Variant
) -> None:
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
        until(engine.is_asleep, "it does not spin")
        assert not any(client.readable() for client in outside)
        for leaving, coming in zip(inside, outside, strict=False):
            leaving.sock.close()
            assert coming.answer().body == GREETING
        for client in inside[4:]:
            assert client.ask().body == GREETING
            client.sock.close()
        until(lambda: not engine.board().saturated, "there is room again")
        assert engine.board().accept_pauses >= 1


def test_a_burst_does_not_exceed_the_connection_limit(start: Starter, variant: Variant) -> None:
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


def test_without_free_descriptors_an_engine_waits_without_spinning(start: Starter, variant: Variant) -> None:
    engine = start(variant, shell="ulimit -n 64")
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(engine.connect()) for _ in range(64 * len(engine.pids))
        ]  # more than fit
        until(lambda: engine.board().out_of_descriptors, "it says that it is out of descriptors")
        until(lambda: engine.held() >= 20, "what could be accepted is held")
        assert clients[0].ask().body == GREETING, "clients that it has accepted are served"
        until(engine.is_asleep, "it does not spin")
        for client in clients:
            assert client.ask().body == GREETING
            client.sock.close()
        until(lambda: not engine.board().out_of_descriptors, "there are descriptors again")
        assert engine.board().accept_pauses >= 1
        until(lambda: engine.held() == 0, "all are closed")
        with engine.connect() as late:
            assert late.ask().body == GREETING


def test_an_engine_serves_64_active_beside_a_thousand_idle_connections(
    start: Starter, variant: Variant
) -> None:
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


def test_incomplete_bodies_of_all_connections_are_bounded(start: Starter, variant: Variant) -> None:
    """Each body may be 1 MiB, all bodies of a process 64 MiB. `prefork` has one worker here."""
    engine = start(variant.with_knobs(processes=1))
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"
    most = b"x" * (MIB - 1)
    with contextlib.ExitStack() as stack:
        before = engine.rss_mib()
        holding = [stack.enter_context(engine.connect()) for _ in range(BODIES_LIMIT // MIB)]
        for client in holding:
            client.send(head % MIB + most)
        sent = sum(client.sent for client in holding)
        until(lambda: engine.board().counters["bytes_in"] == sent, "it has read them")
        with engine.connect() as late, engine.connect() as other:
            late.send(head % 1000 + b"x" * 500)
            answer = late.answer()
            assert (answer.status, answer.closes) == (503, True)
            assert other.ask().body == GREETING
            assert other.ask("/echo", "POST", b"small").body == b"small", (
                "what is whole at once needs no room"
            )
        assert engine.rss_mib() - before < 2 * BODIES_LIMIT / MIB
        for client in holding[1:]:
            client.sock.close()
        until(lambda: engine.held() == 1, "the others are gone")
        with engine.connect() as late:
            late.send(head % MIB + most)
            late.send(b"y")
            assert late.answer().body == most + b"y"
        holding[0].send(b"z")
        assert holding[0].answer().body == most + b"z", "one that was there before is served"


# A peer that does not read


def test_memory_for_a_client_that_does_not_read_is_bounded(start: Starter, variant: Variant) -> None:
    """The engine stops reading from a client that takes no responses; later all requests are answered."""
    engine = start(variant.with_knobs(write_s=600, idle_s=600))
    request = b"GET /bytes?n=100000 HTTP/1.1\r\n" + HOST + b"\r\n"
    with engine.connect(receive_buffer=4096) as greedy, engine.connect() as other:
        assert other.ask().body == GREETING
        before = engine.rss_mib()
        asked = ask_without_reading(engine, greedy.sock, request * 100)
        assert other.ask().body == GREETING
        assert engine.rss_mib() - before < 30
        whole = asked // len(request)
        assert whole * 100_000 > 100 * MIB, "its answers would not fit where they are bounded"
        greedy.sock.setblocking(True)
        for _ in range(20):
            assert len(greedy.answer().body) == 100_000
        assert other.ask().body == GREETING


def ask_without_reading(engine: Engine, sock: socket.socket, requests: bytes, most: int = 64 * MIB) -> int:
    """Send until neither the engine nor the kernel takes more; return how many bytes they took."""
    sock.setblocking(False)
    sent = 0

    def is_stuck() -> bool:
        nonlocal sent
        while select.select([], [sock], [], 0)[1]:
            sent += sock.send(requests[sent % len(requests) :])
            assert sent < most, "it takes requests without end"
        return engine.is_asleep() and not select.select([], [sock], [], 0)[1]

    until(is_stuck, "no more is taken")
    return sent


def test_the_kernel_buffers_little_for_a_client_that_does_not_read(start: Starter, variant: Variant) -> None:
    """Unsent bytes stay in the engine, which limits them, and not in a send buffer of 4 MB."""
    engine = start(variant.with_knobs(write_s=600, idle_s=600))
    with engine.connect(receive_buffer=4096) as greedy:
        greedy.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 6)
        until(greedy.readable, "the first answer begins")
        until(engine.is_asleep, "it sends no more")
        assert 0 < sent_and_not_taken(engine.port) < MIB


def sent_and_not_taken(port: int) -> int:
    """Return the bytes in the send queues of this port's connections, as the kernel reports them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = [
        row[4].partition(":")[0]
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port and row[3] == "01"
    ]
    return sum(int(queue, 16) for queue in queues)


# What a second reader of the code found


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled))
def test_bodies_read_ahead_of_a_busy_handler_are_bounded(start: Starter, kind: Variant) -> None:
    engine = start(kind.with_knobs(workers=1))
    body = b"x" * 1_000_000
    request = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + body
    with engine.connect() as client:
        assert client.ask().status == 200
        before = engine.rss_mib()
        client.send(b"GET /sleep?ms=10000 HTTP/1.1\r\n" + HOST + b"\r\n")
        until(engine.blocked, "the handler sleeps")
        sent = ask_without_reading(engine, client.sock, request)
        assert engine.rss_mib() - before < 30, f"{sent:,} bytes taken"
        engine.kill()


@pytest.mark.parametrize(
    "kind", variants(lambda v: v.name in ("blocking", "reactor", "reactor-pool", "proactor"))
)
def test_a_rejected_client_that_keeps_sending_is_closed(start: Starter, kind: Variant) -> None:
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


@pytest.mark.full
@pytest.mark.parametrize("kind", variants(lambda v: v.pooled and v.model != "main-sub"))
def test_a_waiting_client_does_not_time_out_while_the_engine_is_paused(start: Starter, kind: Variant) -> None:
    """The loop checks late: the whole engine was stopped for longer than `idle_s`."""
    engine = start(kind.with_knobs(idle_s=1))
    with engine.connect() as client:
        assert client.ask().status == 200
        client.send(b"GET /sleep?ms=3000 HTTP/1.1\r\n" + HOST + b"\r\n")
        until(engine.blocked, "the handler sleeps")
        with engine.frozen():
            ends_s = time.monotonic() + 2.2  # a stop of this length is what is tested
            until(lambda: time.monotonic() > ends_s, "it was stopped for longer than idle_s")
        assert client.answer().status == 200


def test_blocking_continues_when_no_thread_can_be_started(start: Starter) -> None:
    """An address space that has room for few stacks of 8 MiB: connections with a thread are served, later all
    are.

    The heap is reserved at the start. Otherwise its room depends on what the last stack leaves, and an
    allocation of the engine can fail instead of the start of a thread.
    """
    heap = "export MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=33554432"
    engine = start(Variant("blocking").with_knobs(stack_kib=8192), shell=f"{heap} && ulimit -v 730000")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(120)]
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(GET)
        until(lambda: engine.board().saturated, "it says that it is full")
        first = until(
            lambda: next((client for client in clients[:5] if client.readable()), None), "one is answered"
        )
        assert first.answer().status == 200
    until(lambda: served(engine), "there is room again")


def served(engine: Engine) -> bool:
    try:
        with engine.connect() as client:
            return client.ask().status == 200
    except (OSError, AssertionError):
        return False
