"""Manners of a load, each against a real engine: the generator's count and that of the engine's board are equal."""

from __future__ import annotations

import gc
import signal
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from app.load.crew import Crew
from app.load.meter import MEASURE
from app.load.order import Order
from app.load.outcome import Outcome
from app.load.shard import Shard
from tests.engines.driver import Variant, running

from .driver import ServerMaker, Starter, order, run_load, service, until
from .server import every_third, ok

pytestmark = pytest.mark.alone

IP_LOCAL_PORT_RANGE = 51  # of a single socket, since Linux 6.3

REACTOR = Variant("reactor")
OPEN = {"executor": "constant-arrival-rate", "rate_per_s": 300.0}
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "bytes", "params": {"n": 100_000}}]


def answered(outcome: Outcome) -> int:
    """Every answer that the generator has had, in the measured time and out of it."""
    return sum(second.requests for second in outcome.seconds) + outcome.aside_requests


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"work": MIX, "think_time_ms": 1.0},
        {**OPEN, "spacing": "poisson"},
        {
            "executor": "ramping-vus",
            "vus": 1,
            "stages": [{"duration_s": 0.4, "target": 9}, {"duration_s": 0.2, "target": 2}],
        },
        {**OPEN, "executor": "ramping-arrival-rate", "stages": [{"duration_s": 0.5, "target": 900}]},
        {"churn": True, "vus": 8},
        {"churn": True, **OPEN},
        {"pipeline": 8, "work": MIX},
        {"idle_connections": 100},
        {"slow_readers": 3, "slow_writers": 3},
    ],
    ids=["closed", "mix", "open", "ramping vus", "ramping rate", "churn", "open churn", "pipeline", "idle", "slow"],
)
def test_generator_and_board_count_the_same(plan: dict[str, Any]) -> None:
    with running(REACTOR) as engine:
        outcome = run_load(engine.port, **{"warmup_s": 0.2, "timeout_s": 15.0, **plan})
        assert outcome.errors == {}
        assert answered(outcome) == engine.board().requests
        assert service(outcome).count == outcome.requests > 0
        assert outcome.requests == outcome.sent


def test_slow_readers_keep_the_engine_writing_and_are_not_in_the_latency(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_readers=3, duration_s=60.0, think_time_ms=1.0, timeout_s=15.0)
        load.reach(MEASURE)
        until(lambda: engine.board().connections["writing"] >= 3, "three answers are stuck")
        before = load.meter.read().completed
        until(lambda: load.meter.read().completed > before + 50, "the others are served")
        assert engine.board().connections["writing"] >= 3
        load.process.send_signal(signal.SIGTERM)
        outcome = load.outcome()
        assert outcome.errors == {}
        assert outcome.aside_requests >= 3
        assert service(outcome).count == outcome.requests  # an answer of theirs takes 10 s


def test_slow_writers_are_seen_in_the_middle_of_their_request(start: Starter) -> None:
    with running(REACTOR) as engine:
        load = start(engine.port, slow_writers=5, duration_s=60.0, think_time_ms=1.0)
        until(lambda: engine.board().connections["reading"] >= 5, "five requests have begun")
        until(lambda: load.meter.read().completed > 50, "the others are served")
        load.process.send_signal(signal.SIGTERM)
        outcome = load.outcome()
        assert outcome.errors == {}
        assert outcome.aside_requests >= 5  # at the end they hurry
        assert answered(outcome) == engine.board().requests


def test_slow_ones_that_are_cut_off_are_no_errors_of_the_load(serve: ServerMaker) -> None:
    def answer(path: str, body: bytes) -> bytes:
        return b"" if path.startswith("/bytes") else ok()

    outcome = run_load(serve(answer).port, slow_readers=2, duration_s=2.5, think_time_ms=5.0)
    cut = outcome.aside_cut_off
    assert outcome.errors == {}
    assert 2 * 2 <= cut <= 2 * 4  # at once, and again each second: a server that lets nobody be slow is not stormed


def test_churn_opens_a_connection_for_each_request_from_many_addresses() -> None:
    with running(REACTOR) as engine:
        before = engine.board().counters["accepted"]
        outcome = run_load(engine.port, churn=True, executor="constant-arrival-rate", rate_per_s=400.0)
        assert outcome.requests == engine.board().counters["accepted"] - before == 200
        waiting = in_time_wait(engine.port)
        assert len(waiting) == 200  # whoever closes first waits, and that is the generator
        assert len({address for address, _ in waiting}) == 64
        assert outcome.time_wait is not None and outcome.time_wait >= 200


def in_time_wait(port: int) -> list[tuple[str, str]]:
    """(address, port) of our ends of connections to `port` that are in TIME_WAIT, as the kernel writes them."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        if state == "06" and theirs.endswith(f":{port:04X}"):
            address, _, number = ours.partition(":")
            found.append((address, number))
    return found


def test_ports_that_run_out_are_called_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each socket may have one port, so each source address one connection in TIME_WAIT; there are 64."""
    new_socket = Crew.new_socket

    def of_one_port(crew: Crew) -> socket.socket:
        sock = new_socket(crew)
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", 47_001 << 16 | 47_001))
        return sock

    monkeypatch.setattr(Crew, "new_socket", of_one_port)
    with running(REACTOR) as engine:
        try:
            outcome = Shard(Order.parse(order(engine.port, {"churn": True, "vus": 2}))).run()
        finally:
            gc.enable()
        assert outcome.requests >= 64
        assert set(outcome.errors) == {"connect_no_port"}
        assert outcome.errors["connect_no_port"] <= 2 + 20 * 1.5  # and not tried again at once
        assert outcome.sent == outcome.requests + outcome.errors["connect_no_port"]


@pytest.mark.parametrize("manner", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_a_manner_counts_what_is_lost(serve: ServerMaker, manner: dict[str, Any]) -> None:
    """Every third answer closes: what was asked behind it on the same connection has no answer."""
    server = serve(every_third(ok(more="Connection: close\r\n")), delay_s=0.002)
    outcome = run_load(server.port, **manner)
    assert outcome.requests == server.requests > 10
    assert outcome.requests + outcome.errors.get("closed", 0) == outcome.sent
    assert set(outcome.errors) == (set() if "churn" in manner else {"closed"})
    assert service(outcome).count == outcome.requests


@pytest.mark.parametrize("manner", [{"churn": True}, {"pipeline": 4}], ids=["churn", "pipeline"])
def test_silence_is_a_timeout_in_every_manner(serve: ServerMaker, manner: dict[str, Any]) -> None:
    release = threading.Event()

    def answer(path: str, body: bytes) -> bytes:
        release.wait(20)
        return b""

    server = serve(answer)
    outcome = run_load(server.port, timeout_s=0.2, **manner)
    release.set()
    assert set(outcome.errors) == {"timeout"}
    assert outcome.requests == 0
    assert outcome.sent == outcome.errors["timeout"] == server.requests * manner.get("pipeline", 1) >= 4


def test_a_target_that_refuses_churn_is_tried_twenty_times_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = run_load(port, churn=True)
    assert set(outcome.errors) == {"connect_refused"}
    assert 1 <= outcome.errors["connect_refused"] <= 4 + 20 * outcome.wall_s + 5
    assert (outcome.requests, outcome.sent) == (0, outcome.errors["connect_refused"])


def test_vus_follow_their_ramp(start: Starter) -> None:
    stages = [{"duration_s": 0.5, "target": 20}, {"duration_s": 30.0, "target": 20}]
    with running(REACTOR) as engine:
        load = start(engine.port, executor="ramping-vus", vus=2, think_time_ms=1.0, warmup_s=0.3, stages=stages)
        load.reach(1)
        until(lambda: load.meter.read().connections == 2, "those of the warm-up")
        until(lambda: load.meter.read().connections == 20, "those of the top")
        load.process.send_signal(signal.SIGTERM)
        assert load.outcome().errors == {}


def test_vus_that_the_ramp_takes_away_leave(start: Starter) -> None:
    stages = [{"duration_s": 0.5, "target": 3}, {"duration_s": 30.0, "target": 3}]
    with running(REACTOR) as engine:
        load = start(engine.port, executor="ramping-vus", vus=30, stages=stages)
        load.reach(MEASURE)
        until(lambda: load.meter.read().connections == 3, "those of the foot")
        until(lambda: engine.held() == 3, "the engine has seen the others go")
        load.process.send_signal(signal.SIGTERM)
        outcome = load.outcome()
        assert outcome.errors == {}
        assert outcome.connections_peak == 30


def test_a_rate_follows_its_ramp() -> None:
    stages = [{"duration_s": 1.0, "target": 600}, {"duration_s": 0, "target": 100}, {"duration_s": 1.0, "target": 100}]
    with running(REACTOR) as engine:
        plan = {"executor": "ramping-arrival-rate", "rate_per_s": 200.0, "stages": stages, "vus": 16}
        outcome = run_load(engine.port, **plan)
        measured = [second.intended for second in outcome.seconds if second.phase == "measure"]
        assert measured == [pytest.approx(400, abs=2), pytest.approx(100, abs=2)]
        assert outcome.duration_s == 2.0
