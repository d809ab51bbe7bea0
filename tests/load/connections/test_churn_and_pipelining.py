"""A connection for each request (churn), and several requests in flight on one (pipelining)."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from app.load.protocol.meter import MeterReader, make_meter
from app.load.protocol.shard_job import ShardJob
from app.load.shard import Shard
from tests.engines.driver import Variant, running
from tests.load.driver import (
    HELD_S,
    OPEN,
    ServerMaker,
    job_json,
    lost,
    run_load,
    service,
    until,
)
from tests.load.ports import LOCALHOST, SOURCES, in_time_wait, only_port
from tests.load.server import Gate, every_third, ok
from tests.waiting import reserved_port

REACTOR = Variant("reactor")


def test_churn_opens_a_connection_for_each_request_from_many_addresses() -> None:
    with running(REACTOR) as engine:
        # A connection that we close first is in TIME_WAIT for a minute, so the load must find at least 20.
        for _ in range(20):
            with engine.connect() as client:
                client.ask()
        until(lambda: len(in_time_wait(engine.port)) >= 20, "20 connections are in TIME_WAIT")
        before, accepted = in_time_wait(engine.port), engine.board().counters["accepted"]
        outcome = run_load(engine.port, churn=True, executor=OPEN, rate_per_s=400.0, duration_s=0.5)
        assert outcome.requests == 200
        assert outcome.time_wait is not None and outcome.time_wait >= 20
        until(
            lambda: engine.board().counters["accepted"] - accepted >= 200,
            "the engine has counted all connections",
        )
        assert engine.board().counters["accepted"] - accepted == 200

        # TIME_WAIT is at the end that closes first, which is the generator's.
        def of_the_load() -> set[tuple[str, str]]:
            return {end for end in in_time_wait(engine.port) - before if end[0] != LOCALHOST}

        ends = until(
            lambda: found if len(found := of_the_load()) >= 200 else None, "200 more are in TIME_WAIT"
        )
        assert len(ends) == 200
        assert len({address for address, _ in ends}) == SOURCES


def test_ports_that_run_out_are_an_error_of_their_own(
    serve: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every socket may have the same single port, so each source address has one connection at a time."""
    with Gate() as gate:
        server = serve(gate)
        # A port that this connection holds can be used for outgoing connections, and no process can bind it.
        with socket.create_connection(("127.0.0.1", server.port)) as holder:
            only_port(monkeypatch, holder.getsockname()[1])
            meter_fd = make_meter()
            with closing(MeterReader(meter_fd)) as meter:
                plan = {"churn": True, "vus": SOURCES + 6, "duration_s": HELD_S}
                shard = Shard(ShardJob.parse(job_json(server.port, plan, meter_fd=meter_fd)))
                began_s = time.monotonic()
                seen: list[tuple[int, float]] = []

                def release_and_stop() -> None:
                    try:
                        until(lambda: meter.read().errors >= 8, "six refusals at the start, and two later")
                        seen.append((meter.read().errors, time.monotonic() - began_s))
                        gate.open()
                        until(lambda: meter.read().completed >= SOURCES, "each address has had a response")
                    finally:
                        gate.open()
                        shard.stop()

                thread = threading.Thread(target=release_and_stop)
                thread.start()
                try:
                    outcome = shard.run()
                finally:
                    gc.enable()
                    thread.join()
                    os.close(meter_fd)
    [(errors, took_s)] = seen
    assert errors <= 6 + 20 * took_s + 1  # not tried again at once
    assert outcome.requests >= SOURCES
    assert set(outcome.errors) == {"connect_no_port"}
    assert outcome.errors["connect_no_port"] >= errors
    assert outcome.sent == outcome.requests + outcome.errors["connect_no_port"]


@pytest.mark.parametrize("client", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_requests_behind_a_response_that_closes_are_errors(
    serve: ServerMaker, client: dict[str, Any]
) -> None:
    """Every third response closes: requests sent after it on the same connection get none."""
    server = serve(every_third(ok(more="Connection: close\r\n")), delay_s=0.002)
    outcome = run_load(server.port, **client)
    assert outcome.requests == server.requests >= 4
    assert outcome.requests + outcome.errors.get("closed", 0) == outcome.sent
    assert set(outcome.errors) == (set() if "churn" in client else {"closed"})
    assert service(outcome).count == outcome.requests


@pytest.mark.parametrize("client", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_no_response_is_a_timeout_with_churn_and_with_pipelining(
    serve: ServerMaker, client: dict[str, Any]
) -> None:
    with Gate() as gate:
        server = serve(gate)
        outcome = run_load(server.port, timeout_s=0.3, **client)
        assert set(outcome.errors) <= {
            "timeout",
            "connect_timeout",
        }  # the second on a machine that is too busy
        assert outcome.requests == 0
        assert outcome.sent == sum(lost(outcome).values()) >= 4
        sent = lost(outcome)["timeout"]
        until(
            lambda: server.requests * client.get("pipeline", 1) == sent, "the server has read what was sent"
        )


def test_a_target_that_refuses_churn_is_tried_at_most_twenty_times_per_second() -> None:
    with reserved_port() as port:
        outcome = run_load(port, churn=True, duration_s=0.3)
    assert set(outcome.errors) == {"connect_refused"}
    assert 4 <= outcome.errors["connect_refused"] <= 4 + 20 * outcome.wall_s + 1
    assert (outcome.requests, outcome.sent) == (0, outcome.errors["connect_refused"])
