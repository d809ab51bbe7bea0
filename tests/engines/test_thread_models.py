"""What distinguishes the models, as tests: each with its counterpart, a model that behaves differently."""

from __future__ import annotations

import pytest

from .conftest import Starter, variants
from .driver import GREETING, HOST, Client, Engine, Variant, until

SLEEP = b"GET /sleep?ms=500 HTTP/1.1\r\n" + HOST + b"\r\n"
LONG_SLEEP = SLEEP.replace(b"500", b"10000")  # for a handler that sleeps until the test kills its engine

pools_or_threads = pytest.mark.parametrize("kind", variants(lambda v: v.pooled or v.model == "blocking"))
one_thread = pytest.mark.parametrize("kind", variants(lambda v: v.name in ("reactor", "proactor")))
pooled = pytest.mark.parametrize("kind", variants(lambda v: v.pooled))


def begin_to_sleep(engine: Engine, client: Client, request: bytes = SLEEP) -> None:
    client.send(request)
    until(engine.blocked, "a handler sleeps")


# One slow handler


@pools_or_threads
def test_a_slow_request_does_not_delay_others(start: Starter, kind: Variant) -> None:
    engine = start(kind)
    with engine.clients(9) as (slow, *others):
        begin_to_sleep(engine, slow, LONG_SLEEP)
        for other in others:
            assert other.ask().body == GREETING
        assert not slow.readable(), "the others were answered while it slept"
        engine.kill()


@one_thread
def test_a_slow_request_delays_others(start: Starter, kind: Variant) -> None:
    engine = start(kind)
    with engine.clients(9) as (slow, *others):
        begin_to_sleep(engine, slow)
        for other in others:
            assert other.ask().body == GREETING
            assert slow.readable(), "it had to end before anybody else was answered"


def test_a_slow_request_delays_its_own_sub_reactor_only(start: Starter) -> None:
    engine = start(Variant("main-sub", (("workers", 0), ("reactors", 2))))
    with engine.clients(4) as (slow, elsewhere, beside, elsewhere_too):  # dealt in turn
        begin_to_sleep(engine, slow)
        assert beside.ask().body == GREETING
        assert slow.readable(), "it had to end before its neighbour was answered"
        assert slow.answer().body == b"slept 500 ms\n"
        begin_to_sleep(engine, slow, LONG_SLEEP)
        assert elsewhere.ask().body == elsewhere_too.ask().body == GREETING
        assert not slow.readable()
        engine.kill()


@pytest.mark.parametrize("kind", variants(lambda v: v.name == "proactor"))
def test_a_slow_request_delays_its_own_ring_only(start: Starter, kind: Variant) -> None:
    engine = start(kind.with_knobs(rings=2))
    with engine.clients(4) as (slow, elsewhere, beside, elsewhere_too):
        begin_to_sleep(engine, slow)
        assert beside.ask().body == GREETING
        assert slow.readable(), "it had to end before its neighbour was answered"
        assert slow.answer().body == b"slept 500 ms\n"
        begin_to_sleep(engine, slow, LONG_SLEEP)
        assert elsewhere.ask().body == elsewhere_too.ask().body == GREETING
        assert not slow.readable()
        engine.kill()


@pooled
def test_as_many_slow_requests_as_workers_delay_the_others(start: Starter, kind: Variant) -> None:
    """The pool's limit: the next request waits in the queue, although the reactor is idle."""
    engine = start(kind.with_knobs(workers=2, reactors=1))

    with engine.clients(3) as (one, two, other):
        for slow in (one, two):
            slow.send(SLEEP.replace(b"500", b"1500"))
        until(lambda: engine.blocked() == 2, "both workers sleep")
        assert other.ask().body == GREETING
        assert engine.blocked() < 2, "one of them had to wake up first"
        until(lambda: sum(engine.board().queue_wait) == 3, "each wait in the queue is counted")
        assert sum(engine.board().queue_wait[14:]) >= 1, "one of them was longer than 8 ms"


# Threads and connections


def test_blocking_has_a_thread_for_each_connection(start: Starter) -> None:
    engine = start(Variant("blocking"))
    assert engine.threads() == 1
    with engine.clients(50):
        # A connection has a row of the board a moment before the kernel has its thread.
        until(lambda: engine.threads() == 51, "each connection has its thread")
        roles = [thread.role for thread in engine.board().threads]
        assert (roles.count("acceptor"), roles.count("connection")) == (1, 50)
    until(lambda: engine.threads() == 1, "their threads end with them")


@pytest.mark.parametrize("kind", variants(lambda v: v.model != "blocking"))
def test_the_other_models_have_a_fixed_number_of_threads(start: Starter, kind: Variant) -> None:
    engine = start(kind)
    before = len(engine.board().threads)
    expected = {
        "reactor": 1,
        "reactor-pool": 5,
        "reactor-pool reply=reactor": 5,
        "main-sub": 7,
        "main-sub workers=0": 3,
        "proactor": 1,
        "proactor workers=2": 3,
        "prefork": 3,
    }
    assert before == expected[kind.name]
    with engine.clients(50) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        assert len(engine.board().threads) == before
        if kind.model != "proactor":  # the kernel may start threads for a ring
            assert engine.threads() == before


@pytest.mark.parametrize("kind", variants(lambda v: v.model == "main-sub"))
def test_main_distributes_connections_round_robin(start: Starter, kind: Variant) -> None:
    engine = start(kind)
    with engine.clients(20):
        assert held_by(engine, "sub") == [10, 10]
        assert held_by(engine, "main") == [0]


def test_main_assigns_to_the_sub_reactor_with_the_fewest_connections(start: Starter) -> None:
    engine = start(Variant("main-sub", (("deal", "least-connections"),)))
    with engine.clients(10) as clients:
        assert held_by(engine, "sub") == [5, 5]
        for client in clients[0:8:2]:  # most likely all of the same sub-reactor
            client.sock.close()
        until(lambda: engine.held() == 6, "four are closed")
        with engine.clients(1), engine.clients(1), engine.clients(1), engine.clients(1):
            assert held_by(engine, "sub") == [5, 5]


@pytest.mark.parametrize("deal", ["round-robin", "least-connections"])
def test_main_distributes_a_burst_evenly(start: Starter, deal: str) -> None:
    engine = start(Variant("main-sub", (("deal", deal),)))
    clients: list[Client] = []
    try:
        with engine.frozen():
            clients += [engine.connect() for _ in range(60)]
        until(lambda: engine.held() == 60, "the burst is held")
        assert held_by(engine, "sub") == [30, 30]
    finally:
        for client in clients:
            client.sock.close()


def held_by(engine: Engine, role: str) -> list[int]:
    return [thread.connections for thread in engine.board().threads if thread.role == role]


# Backpressure


@pooled
def test_a_full_queue_delays_and_drops_nothing(start: Starter, kind: Variant) -> None:
    engine = start(kind.with_knobs(queue=1, workers=1))
    requests = b"".join(b"GET /sleep?ms=%d HTTP/1.1\r\n" % ms + HOST + b"\r\n" for ms in (2, 1, 0))
    with engine.clients(32) as clients:
        for client in clients:
            client.send(requests)
        for client in clients:
            assert [client.answer().body for _ in range(3)] == [b"slept %d ms\n" % ms for ms in (2, 1, 0)]
        until(lambda: engine.board().counters["requests_2xx"] == 96, "the counters are published")
        counters = engine.board().counters
        assert 32 <= counters["queue_pushes"] == counters["queue_pops"] <= counters["requests_2xx"] == 96
        assert counters["queue_high_water"] == 1


# Waiting inside a request


def test_a_thread_that_waits_for_its_client_is_marked_as_blocked(start: Starter) -> None:
    """The other models wait for all clients at once. Blocked is neither idle nor waiting for the GIL."""
    engine = start(Variant("blocking"))
    with engine.connect(receive_buffer=4096) as slow:
        slow.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 8)
        until(lambda: engine.blocked() == 1, "its thread waits for room in the socket")
        for _ in range(8):
            assert len(slow.answer().body) == 1048576
        until(lambda: engine.blocked() == 0, "everything is sent")
        assert slow.ask().body == GREETING
