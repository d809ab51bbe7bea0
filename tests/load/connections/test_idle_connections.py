"""Idle connections: served once, then held."""

from __future__ import annotations

import socket

from app.load.protocol.meter import MEASURE
from tests.load.driver import HELD_S, ServerMaker, Starter, run_load, until
from tests.load.server import Gate, every_third, ok, plain


def test_idle_connections_are_served_once_and_held(serve: ServerMaker) -> None:
    server = serve(plain, delay_s=0.002)
    outcome = run_load(server.port, idle_connections=150)  # more than the generator opens at once
    assert outcome.idle_connections_held == 150
    assert outcome.connections_peak == 154 == server.accepted
    assert server.requests == outcome.requests + 150
    assert (outcome.errors, outcome.missing, outcome.idle_missing) == ({}, 0, 0)


def test_an_idle_connection_that_is_closed_is_counted(serve: ServerMaker, start: Starter) -> None:
    server = serve(delay_s=0.002)
    active = [{"kind": "sleep", "params": {"ms": 1}}]  # so only idle connections request "/"
    load = start(server.port, idle_connections=20, work=active, think_time_ms=5.0, duration_s=HELD_S)
    load.reach(MEASURE)
    assert load.meter.read().idle_connections == 20
    for sock in server.connections("/")[:5]:
        sock.shutdown(socket.SHUT_RDWR)
    until(lambda: load.meter.read().idle_connections == 15, "five are seen to be closed")
    outcome = load.stop()
    assert outcome.errors == {"idle_closed": 5}
    assert outcome.idle_connections_held == 15


def test_idle_connections_that_are_not_served_are_not_held(serve: ServerMaker) -> None:
    """Every third response is 503, and idle connections send one request each before the load begins."""
    server = serve(every_third(ok(status="503 Service Unavailable")), delay_s=0.002)
    outcome = run_load(server.port, idle_connections=30)
    assert outcome.idle_connections_held == 20
    assert outcome.errors["idle_unserved"] == outcome.idle_missing == 10


def test_unserved_idle_connections_do_not_keep_the_load_from_opening_connections(
    serve: ServerMaker, start: Starter
) -> None:
    """Idle connections get no response and so keep their slots for connecting; active ones reconnect."""
    with Gate() as gate:

        def handler(path: str, body: bytes) -> bytes:
            return gate(path, body) if path == "/" else ok(more="Connection: close\r\n")

        server = serve(handler)
        work = [{"kind": "sleep", "params": {"ms": 1}}]
        load = start(server.port, idle_connections=200, timeout_s=0.3, work=work, duration_s=HELD_S)
        load.complete(9)
        outcome = load.stop()
    assert (outcome.idle_connections_held, outcome.idle_missing) == (0, 200)
    assert outcome.requests >= 9, "each of the four was opened again, and again"
    assert outcome.reconnects >= 9
