"""Slow readers and slow writers in the background of a load."""

from __future__ import annotations

import time

from app.load.protocol.meter import MEASURE
from tests.engines.driver import Variant, running
from tests.load.driver import (
    HELD_S,
    ServerMaker,
    Starter,
    service,
    until,
)
from tests.load.server import ok

REACTOR = Variant("reactor")


def test_slow_readers_keep_the_engine_writing_and_are_not_in_the_latency(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_readers=3, duration_s=HELD_S, think_time_ms=5.0)
        load.reach(MEASURE)
        until(lambda: engine.board().connections["writing"] >= 3, "three responses are stuck")
        load.complete(load.meter.read().completed + 50)
        until(lambda: engine.board().connections["writing"] >= 3, "they are still stuck")
        outcome = load.stop()
        assert outcome.errors == {}
        assert service(outcome).count == outcome.requests >= 50


def test_slow_writers_keep_the_engine_reading_and_are_not_in_the_latency(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_writers=5, duration_s=HELD_S, think_time_ms=5.0)
        until(lambda: engine.board().connections["reading"] >= 5, "five requests have begun")
        load.complete(50)
        outcome = load.stop()
        assert outcome.errors == {}
        assert service(outcome).count == outcome.requests >= 50


def test_slow_connections_that_the_server_closes_are_no_errors_of_the_load(
    serve: ServerMaker, start: Starter
) -> None:
    def handler(path: str, body: bytes) -> bytes:
        return b"" if path.startswith("/bytes") else ok()

    server, began_s = serve(handler), time.monotonic()
    load = start(server.port, slow_readers=2, duration_s=HELD_S, think_time_ms=5.0)
    until(lambda: server.requested["/bytes?n=131072"] >= 4, "both readers came again")
    outcome = load.stop()
    took_s = time.monotonic() - began_s
    requested = server.requested["/bytes?n=131072"]
    assert outcome.errors == {}
    assert requested - 2 <= outcome.background_closed <= requested
    # At once, and again after a second, but not more often.
    assert outcome.background_closed <= 2 * (1 + took_s)
