"""Targets that refuse connections, or are gone for a while."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.load.driver import HELD_S, OPEN, ServerMaker, Starter, run_load, until
from tests.waiting import BOUND_S, reserved_port


@pytest.mark.parametrize(
    ("plan", "at_least"),
    # The load begins without connections after ten refusals, or when none was opened within the timeout.
    [({}, 10), ({"executor": OPEN, "rate_per_s": 100.0, "timeout_s": 0.5}, 1)],
    ids=["closed", "open"],
)
def test_a_refusing_target_is_tried_at_most_twenty_times_per_second(
    plan: dict[str, Any], at_least: int
) -> None:
    began_s = time.monotonic()
    with reserved_port() as port:
        outcome = run_load(port, duration_s=0.3, **plan)
    took_s = time.monotonic() - began_s
    assert set(outcome.errors) == {"connect_refused"}
    # All four connections at once, then one attempt every 50 ms.
    assert at_least <= outcome.errors["connect_refused"] <= 4 + 20 * took_s + 1
    assert outcome.requests == 0
    assert outcome.missing == 4
    if "executor" in plan:
        assert outcome.dropped == outcome.intended == 30


def test_requests_that_the_warm_up_could_not_send_are_not_dropped_from_the_measured_window() -> None:
    with reserved_port() as port:
        outcome = run_load(port, executor=OPEN, rate_per_s=100.0, warmup_s=0.3, duration_s=0.2, timeout_s=0.2)
    assert (outcome.intended, outcome.dropped, outcome.sent) == (20, 20, 0)


def test_a_server_that_goes_away_and_comes_back_is_used_again(serve: ServerMaker, start: Starter) -> None:
    with reserved_port() as port:
        server = serve(delay_s=0.002, port=port)
        load = start(port, duration_s=HELD_S)
        load.complete(20)
        server.close()
        until(lambda: load.meter.read().errors > 5, "errors")
        with socket.create_server(("127.0.0.1", port)) as again:
            again.settimeout(BOUND_S)
            connection, _ = again.accept()
            with connection:
                connection.settimeout(BOUND_S)
                assert connection.recv(100).startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
        outcome = load.stop()
    assert outcome.errors["connect_refused"] >= 1
    assert outcome.requests >= 20
