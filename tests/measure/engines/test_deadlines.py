"""How punctual engines are: deadlines, the end of an idle engine, what an idle engine costs."""

from __future__ import annotations

import contextlib
import select
import signal
import time

import pytest

from engines.common.board.board import BLOCKED
from tests.engines.board.test_trace import Follower
from tests.engines.conftest import Starter, variants
from tests.engines.driver import GET, GREETING, HOST, Client, Engine, Variant, until
from tests.measure.conftest import Report

from .cpu import cores_wanted

IDLE_STOP_S = 4.0  # waiting for the default grace would take 5 s


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def test_clients_that_ask_in_time_are_not_closed(start: Starter, variant: Variant, report: Report) -> None:
    """Noise: the client's longest pause is measured; only if that exceeds the deadline may it be closed."""
    engine = start(variant.with_knobs(idle_s=1, header_s=1))
    longest_s, last_s = 0.0, time.monotonic()
    with engine.connect() as client:
        for _ in range(8):
            assert client.ask().body == GREETING
            pause(0.6)
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
            if longest_s > 0.95:
                break
    report(f"longest pause {longest_s:.2f} s with an idle deadline of 1 s")
    assert longest_s < 0.95, "the machine made the client itself late: nothing was measured"


def test_each_request_has_its_own_time_to_arrive(start: Starter, report: Report) -> None:
    """A client whose every write ends within a request is never between two.

    Noise: the longest time from the beginning of a request to its end is measured beside it.
    """
    engine = start(Variant("blocking").with_knobs(header_s=1))
    longest_s = 0.0
    with engine.connect() as client:
        client.send(GET[:10])
        ends_s = (began_s := time.monotonic()) + 2.5
        while time.monotonic() < ends_s:
            client.send(GET[10:] + GET[:10])
            longest_s, began_s = max(longest_s, time.monotonic() - began_s), time.monotonic()
            assert client.answer().status == 200
    report(f"the slowest request took {longest_s * 1000:.0f} ms to arrive, of a second that it may take")


def test_a_silent_client_is_closed_when_it_is_due(start: Starter, variant: Variant, report: Report) -> None:
    """Noise: a wait for the clock by this very process, at the same time, is the control for how late it can
    be.
    """
    engine = start(variant.with_knobs(idle_s=1))
    with engine.connect() as client:
        began_s = time.monotonic()
        pause(1.0)
        late_s = time.monotonic() - began_s - 1.0
        assert client.rest() == b""
        closed_s = time.monotonic() - began_s
    report(f"closed after {closed_s:.2f} s; a wait for 1 s was {late_s * 1000:.0f} ms late")
    assert 0.9 < closed_s < 2.5 + 5 * late_s, "deadlines are looked at once a second"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_engine_ends_at_once(
    start: Starter, variant: Variant, number: signal.Signals, report: Report
) -> None:
    """Noise: the bound tells a drain (0.1 s) from waiting for the grace (5 s), which no noise does."""
    engine = start(variant)
    with engine.clients(50) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        ended = engine.stop(number)
    report(f"{ended.seconds:.2f} s")
    assert ended.seconds < IDLE_STOP_S


def at_its_limit(engine: Engine, stack: contextlib.ExitStack) -> None:
    """Eight connections are all that it takes; four more wait."""
    clients: list[Client] = [stack.enter_context(engine.connect()) for _ in range(12)]
    for client in clients:
        client.send(GET)
    until(lambda: engine.board().saturated, "it says that it is full")


def out_of_descriptors(engine: Engine, stack: contextlib.ExitStack) -> None:
    for _ in range(64 * len(engine.pids)):
        stack.enter_context(engine.connect())
    until(lambda: engine.board().out_of_descriptors, "it says that it is out of descriptors")


@pytest.mark.parametrize("fill", [at_its_limit, out_of_descriptors])
def test_an_engine_that_accepts_no_more_does_not_spin(
    start: Starter, variant: Variant, fill: object, report: Report
) -> None:
    """Noise: CPU time, not wall time, and a thread that waits for a CPU counts as if it ran: a spin is 1.0
    core.
    """
    limit = {"max_threads": 8} if variant.model == "blocking" else {"max_connections": 8}
    engine = (
        start(variant.with_knobs(**limit)) if fill is at_its_limit else start(variant, shell="ulimit -n 64")
    )
    with contextlib.ExitStack() as stack:
        (at_its_limit if fill is at_its_limit else out_of_descriptors)(engine, stack)
        until(engine.is_asleep, "it has done what it can")
        cores = cores_wanted(engine, lambda: pause(1.0))
    report(f"{cores:.3f} cores")
    assert cores < 0.1


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled or v.model == "blocking"))
def test_a_slow_handler_is_traced_for_as_long_as_it_sleeps(
    start: Starter, kind: Variant, report: Report
) -> None:
    """Noise: the client's own measurement of the same request bounds the handler's sleep from above."""
    follower = Follower(engine := start(kind))
    took_ms = []
    with engine.clients(1) as (client,):
        for _ in range(5):
            began_s = time.monotonic()
            client.send(b"GET /sleep?ms=60 HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.answer().status == 200
            took_ms.append((time.monotonic() - began_s) * 1000)
    until(lambda: follower.seen(BLOCKED) == 5, "the trace has all sleeps")
    stays = follower.stays(BLOCKED)
    report(f"blocked {max(stays):.1f} ms at most; the client saw {max(took_ms):.1f} ms")
    assert all(60 <= stay <= took for stay, took in zip(sorted(stays), sorted(took_ms), strict=True))
