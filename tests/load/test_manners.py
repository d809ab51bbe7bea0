"""Manners of a load, each against a real engine: the generator's count and that of the engine's board are equal."""

from __future__ import annotations

import gc
import os
import socket
import struct
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.load.connections.connection_pool import ConnectionPool
from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.protocol.meter import MEASURE, WARMUP, MeterReader, make_meter
from app.load.protocol.plan import Stage
from app.load.protocol.shard_job import ShardJob
from app.load.shard import Shard
from tests.engines.driver import Variant, running
from tests.waiting import reserved_port

from .driver import HELD_S, OPEN, ServerMaker, Starter, answered, job_json, lost, run_load, service, until
from .server import Gate, every_third, ok

IP_LOCAL_PORT_RANGE = 51  # of a single socket, since Linux 6.3
SOURCES = 64  # addresses that connections of a churning load come from
LOCALHOST = "0100007F"  # 127.0.0.1 in /proc/net/tcp, and none of them

REACTOR = Variant("reactor")
RATE = {"executor": OPEN, "rate_per_s": 300.0}
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "bytes", "params": {"n": 100_000}}]


@pytest.mark.parametrize(
    ("plan", "at_least"),
    [
        ({}, 4),
        ({"work": MIX, "think_time_ms": 1.0}, 0),
        ({**RATE, "spacing": "poisson"}, 60),
        (
            {
                "executor": "ramping-vus",
                "vus": 1,
                "stages": [{"duration_s": 0.2, "target": 9}, {"duration_s": 0.1, "target": 2}],
            },
            1,
        ),
        ({**RATE, "executor": "ramping-arrival-rate", "stages": [{"duration_s": 0.3, "target": 700}]}, 180),
        ({"churn": True, "vus": 8}, 8),
        ({"churn": True, **RATE}, 120),
        ({"pipeline": 8, "work": MIX}, 32),
        ({"idle_connections": 100}, 104),
        ({"slow_readers": 3, "slow_writers": 3, "think_time_ms": 1.0}, 3 * 32 + 3),
    ],
    ids=[
        "closed",
        "mix",
        "open",
        "ramping vus",
        "ramping rate",
        "churn",
        "open churn",
        "pipeline",
        "idle",
        "slow",
    ],
)
def test_generator_and_board_count_the_same(plan: dict[str, Any], at_least: int) -> None:
    """`at_least` are the requests that are sent on any machine: by the schedule, or by each connection at the start.

    A slow reader asks 32 times in one batch and a slow writer once; both complete that when the load ends.
    """
    with running(REACTOR) as engine:
        outcome = run_load(engine.port, **{"warmup_s": 0.1, "duration_s": 0.3, **plan})
        assert outcome.errors == {}
        assert answered(outcome) >= at_least
        assert service(outcome).count == outcome.requests == outcome.sent
        # The engine counts a request on its board after it has sent the answer.
        until(lambda: engine.board().requests >= answered(outcome), "the engine has counted all requests")
        assert engine.board().requests == answered(outcome)


def test_slow_readers_keep_the_engine_writing_and_are_not_in_the_latency(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_readers=3, duration_s=HELD_S, think_time_ms=5.0)
        load.reach(MEASURE)
        until(lambda: engine.board().connections["writing"] >= 3, "three answers are stuck")
        load.complete(load.meter.read().completed + 50)
        until(lambda: engine.board().connections["writing"] >= 3, "they are still stuck")
        outcome = load.stop()
        assert outcome.errors == {}
        assert service(outcome).count == outcome.requests >= 50


def test_slow_writers_are_seen_in_the_middle_of_their_request(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_writers=5, duration_s=HELD_S, think_time_ms=5.0)
        until(lambda: engine.board().connections["reading"] >= 5, "five requests have begun")
        load.complete(50)
        outcome = load.stop()
        assert outcome.errors == {}
        assert service(outcome).count == outcome.requests >= 50


def test_slow_connections_that_are_cut_off_are_no_errors_of_the_load(
    serve: ServerMaker, start: Starter
) -> None:
    def answer(path: str, body: bytes) -> bytes:
        return b"" if path.startswith("/bytes") else ok()

    server, began_s = serve(answer), time.monotonic()
    load = start(server.port, slow_readers=2, duration_s=HELD_S, think_time_ms=5.0)
    until(lambda: server.asked["/bytes?n=131072"] >= 4, "both readers came again")
    outcome = load.stop()
    took_s = time.monotonic() - began_s
    asked = server.asked["/bytes?n=131072"]
    assert outcome.errors == {}
    assert asked - 2 <= outcome.background_closed <= asked
    assert outcome.background_closed <= 2 * (
        1 + took_s
    )  # at once, and again after a second, but not more often


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


def in_time_wait(port: int) -> set[tuple[str, str]]:
    """(address, port) of our ends of connections to `port` that are in TIME_WAIT, as the kernel writes them.

    The kernel may leave out a connection while others open and close, so wait for those that are expected.
    """
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        if state == "06" and theirs.endswith(f":{port:04X}"):
            address, _, number = ours.partition(":")
            found.add((address, number))
    return found


def test_ports_that_run_out_are_an_error_of_their_own(
    serve: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every socket may have the same single port, so each source address has one connection at a time."""
    with Gate() as gate:
        server = serve(gate)
        # A port that this connection holds can be used by others to connect, and nobody can bind it meanwhile.
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
                        until(lambda: meter.read().completed >= SOURCES, "each address has had an answer")
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


def only_port(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let the connections of a generator in this process have no other local port."""
    new_socket = ConnectionPool.new_socket

    def of_one_port(pool: ConnectionPool) -> socket.socket:
        sock = new_socket(pool)
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", port << 16 | port))
        return sock

    monkeypatch.setattr(ConnectionPool, "new_socket", of_one_port)


@pytest.mark.parametrize("manner", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_requests_behind_an_answer_that_closes_are_lost(serve: ServerMaker, manner: dict[str, Any]) -> None:
    """Every third answer closes: requests that were sent after it on the same connection have no answer."""
    server = serve(every_third(ok(more="Connection: close\r\n")), delay_s=0.002)
    outcome = run_load(server.port, **manner)
    assert outcome.requests == server.requests >= 4
    assert outcome.requests + outcome.errors.get("closed", 0) == outcome.sent
    assert set(outcome.errors) == (set() if "churn" in manner else {"closed"})
    assert service(outcome).count == outcome.requests


@pytest.mark.parametrize("manner", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_silence_is_a_timeout_in_every_manner(serve: ServerMaker, manner: dict[str, Any]) -> None:
    with Gate() as gate:
        server = serve(gate)
        outcome = run_load(server.port, timeout_s=0.3, **manner)
        assert set(outcome.errors) <= {
            "timeout",
            "connect_timeout",
        }  # the second on a machine that is too busy
        assert outcome.requests == 0
        assert outcome.sent == sum(lost(outcome).values()) >= 4
        sent = lost(outcome)["timeout"]
        until(
            lambda: server.requests * manner.get("pipeline", 1) == sent, "the server has read what was sent"
        )


def test_a_target_that_refuses_churn_is_tried_at_most_twenty_times_per_second() -> None:
    with reserved_port() as port:
        outcome = run_load(port, churn=True, duration_s=0.3)
    assert set(outcome.errors) == {"connect_refused"}
    assert 4 <= outcome.errors["connect_refused"] <= 4 + 20 * outcome.wall_s + 1
    assert (outcome.requests, outcome.sent) == (0, outcome.errors["connect_refused"])


def test_a_warm_up_has_the_vus_at_the_foot_of_the_ramp(start: Starter) -> None:
    stages = [{"duration_s": HELD_S, "target": 20}]
    with running(REACTOR) as engine:
        plan = {
            "executor": "ramping-vus",
            "vus": 2,
            "think_time_ms": 5.0,
            "warmup_s": HELD_S,
            "stages": stages,
        }
        load = start(engine.port, **plan)
        load.complete(20)
        reading = load.consistent_reading()
        assert (reading.phase, reading.connections) == (WARMUP, 2)
        outcome = load.stop()
        assert (outcome.errors, outcome.connections_peak) == ({}, 2)


def test_vus_follow_their_ramp_up(start: Starter) -> None:
    stages = [{"duration_s": 0.3, "target": 20}, {"duration_s": HELD_S, "target": 20}]
    with running(REACTOR) as engine:
        load = start(
            engine.port, executor="ramping-vus", vus=2, think_time_ms=5.0, warmup_s=0.1, stages=stages
        )
        until(lambda: load.meter.read().connections == 20, "the connections at the top are open")
        outcome = load.stop()
        assert (outcome.errors, outcome.connections_peak) == ({}, 20)


def test_vus_that_the_ramp_takes_away_close_their_connections(start: Starter) -> None:
    stages = [{"duration_s": 0.3, "target": 3}, {"duration_s": HELD_S, "target": 3}]
    with running(REACTOR) as engine:
        work = [{"kind": "sleep", "params": {"ms": 1}}]
        load = start(engine.port, executor="ramping-vus", vus=30, stages=stages, work=work)
        load.reach(MEASURE)
        until(lambda: load.meter.read().connections == 3, "the connections at the foot are left")
        until(lambda: engine.held() == 3, "the engine has seen the others close")
        outcome = load.stop()
        assert outcome.errors == {}
        assert outcome.connections_peak == 30


def test_a_rate_follows_its_ramp() -> None:
    stages = (Stage(0.25, 600), Stage(0, 100), Stage(0.25, 100))
    due = list(Schedule(Ramp(200.0, stages), "constant").times(0, 10**9))
    assert sum(at < 250_000_000 for at in due) == pytest.approx(100, abs=1)
    assert sum(at >= 250_000_000 for at in due) == pytest.approx(25, abs=1)
    with running(REACTOR) as engine:
        plan = {"executor": "ramping-arrival-rate", "rate_per_s": 200.0, "vus": 16}
        plan["stages"] = [{"duration_s": stage.duration_s, "target": stage.target} for stage in stages]
        outcome = run_load(engine.port, **plan)
        assert outcome.requests == outcome.sent == outcome.intended == len(due)
        assert outcome.duration_s == 0.5
