"""An engine that must stop finishes what it has accepted, announces the end, and exits.

What may not be lost, by what a client can know:

- a request on a kept connection, sent while the engine still took requests from it (a client of a closed loop
  sends its next one as soon as it has a response without `Connection: close`): it gets a whole response;
- a connection that `connect()` had returned *before* the signal was sent: its request gets a whole response,
  however long the accept queue is.

A connection that is made after the signal may be refused, or reset before any byte of a response. No response
is ever cut short.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.common.connection_table import DRAIN_IDLE_S
from tests.engines.conftest import Starter, is_model, variants
from tests.engines.drains import Drained, drain_under_churn, drain_under_load
from tests.engines.driver import (
    GET,
    GREETING,
    HOST,
    PATIENCE_S,
    ROOT,
    Client,
    Engine,
    Variant,
    take_answer,
    until,
)

Drain = Callable[..., Drained]
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST
LONG_S = 600  # longer than any wait of a test: an engine that sat such a deadline out would fail it


def unhurried(variant: Variant) -> Variant:
    """Return this variant with a grace period that no drain of a test exceeds, however slow the machine."""
    return variant.with_knobs(grace_s=LONG_S)


def inline(variant: Variant) -> bool:
    return variant.name in ("reactor", "proactor")


def sleeping(ms: int) -> bytes:
    return b"GET /sleep?ms=%d HTTP/1.1\r\n" % ms + HOST + b"\r\n"


@pytest.mark.parametrize("drain", [drain_under_load, drain_under_churn], ids=["kept", "churn"])
def test_under_load_no_accepted_request_is_lost(start: Starter, variant: Variant, drain: Drain) -> None:
    """64 at work, on kept connections or each request on its own. The bench has twenty such drains of every
    engine.
    """
    drained = drain(start(unhurried(variant)), 64, seed=1)
    assert drained.lost == ()
    assert drained.answered > 700
    assert (drained.code, drained.stderr) == (0, "")


def test_clients_that_disconnect_during_a_drain_do_no_harm(start: Starter, variant: Variant) -> None:
    """They reset their connections at about the time when the engine closes idle ones."""
    engine = start(unhurried(variant))
    with engine.clients(100) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        closes_s = time.monotonic() + DRAIN_IDLE_S - 0.01
        engine.tell(signal.SIGTERM)
        for number, client in enumerate(clients):
            due_s = closes_s + number * 0.0003
            until(lambda due_s=due_s: time.monotonic() >= due_s, "it is time to leave", every_s=0.0001)  # type: ignore[misc]
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.sock.close()
        ended = engine.wait()
    assert (ended.code, ended.stderr) == (0, "")


def test_connections_in_the_accept_queue_are_served_before_the_end(start: Starter, variant: Variant) -> None:
    """More than one batch of connections whose handshake the kernel has completed."""
    engine = start(unhurried(variant))
    with contextlib.ExitStack() as stack:
        with engine.frozen():
            clients = [stack.enter_context(engine.connect()) for _ in range(200)]
            for client in clients:
                client.send(GET)
            engine.tell(signal.SIGTERM)
        lost = sum(not served(client) for client in clients)
        assert lost == 0
    assert engine.wait().code == 0


def served(client: Client) -> bool:
    try:
        return client.answer().body == GREETING and client.rest() == b""
    except (OSError, AssertionError):
        return False


def test_a_slow_request_is_finished(start: Starter, variant: Variant) -> None:
    engine = start(unhurried(variant))
    with engine.connect() as client:
        client.send(sleeping(250))
        until(engine.blocked, "the handler sleeps")
        engine.tell(signal.SIGTERM)
        answer = client.answer()
        assert answer.body == b"slept 250 ms\n"
        assert client.rest() == b""
    assert engine.wait().code == 0


@pytest.mark.parametrize("late", [False, True], ids=["read at once", "read after idle clients are gone"])
def test_large_answers_are_finished(start: Starter, variant: Variant, late: bool) -> None:
    engine = start(unhurried(variant))
    with engine.connect(receive_buffer=4096) as client, engine.connect() as idle:
        client.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 6)
        until(client.readable, "the first answer begins")
        engine.tell(signal.SIGTERM)
        if late:
            assert idle.rest() == b""
        bodies = []
        while True:
            answer = client.answer()
            bodies.append(len(answer.body))
            if answer.closes or len(bodies) == 6:
                break
        assert set(bodies) == {1_048_576}
        assert client.rest() == b""
    assert engine.wait().code == 0


def test_pipelined_requests_are_answered_until_a_response_closes(start: Starter, variant: Variant) -> None:
    engine = start(unhurried(variant))
    with engine.connect() as client:
        client.send(sleeping(200) + GET * 20)
        until(engine.blocked, "the handler sleeps")
        engine.tell(signal.SIGTERM)
        data, answers = bytearray(client.rest()), []
        while answer := take_answer(data):
            answers.append(answer)
        assert answers[0].body == b"slept 200 ms\n"
        assert not data
        assert not any(answer.closes for answer in answers[:-1]), (
            "nothing is answered after `Connection: close`"
        )
        assert answers[-1].closes or len(answers) == 21
    assert engine.wait().code == 0


@pytest.mark.parametrize(("number", "idle"), [(signal.SIGTERM, 0), (signal.SIGTERM, 50), (signal.SIGINT, 50)])
def test_an_idle_engine_does_not_wait_for_the_grace_period(
    start: Starter, variant: Variant, number: int, idle: int
) -> None:
    engine = start(variant.with_knobs(grace_s=LONG_S))
    with engine.clients(idle) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        ended = engine.stop(number)
        assert (ended.code, ended.stderr) == (0, "")
        for client in clients:
            assert client.rest() == b""


def test_a_second_signal_does_not_interrupt_the_drain(start: Starter, variant: Variant) -> None:
    engine = start(unhurried(variant))
    with engine.connect() as client:
        client.send(sleeping(300))
        until(engine.blocked, "the handler sleeps")
        engine.tell(signal.SIGTERM)
        engine.tell(signal.SIGINT)
        assert client.answer().body == b"slept 300 ms\n"
    assert engine.wait().code == 0


@pytest.mark.parametrize("kind", variants(lambda v: not inline(v), default=is_model))
def test_no_new_connection_is_taken(start: Starter, kind: Variant) -> None:
    """Where the handler runs on the thread that accepts, that thread sees the signal after the handler."""
    engine = start(kind.with_knobs(grace_s=60))
    with engine.connect() as client:
        client.send(sleeping(10_000))
        until(engine.blocked, "the handler sleeps")
        engine.tell(signal.SIGTERM)
        until(lambda: refuses(engine), "connections are refused")
        assert not client.readable(), "while the handler still sleeps"
        engine.kill()


def refuses(engine: Engine) -> bool:
    try:
        engine.connect(timeout_s=0.2).sock.close()
    except OSError:
        return True
    return False


def test_a_partial_request_does_not_extend_the_grace_period(start: Starter, variant: Variant) -> None:
    engine = start(variant.with_knobs(grace_s=1, body_s=LONG_S, write_s=LONG_S))
    with engine.connect() as client, engine.connect() as reader:
        client.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhalf")
        reader.send((b"GET /bytes?n=1048576 HTTP/1.1\r\n" + HOST + b"\r\n") * 16)
        until(lambda: engine.board().connections.get("reading") == 1, "half of it is read")
        until(reader.readable, "the other reads nothing more")
        ended = engine.stop()
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.seconds >= 0.99, "they had the grace"


@pytest.mark.parametrize("kind", variants(lambda v: v.pooled or v.model == "blocking"))
def test_a_handler_that_does_not_return_is_abandoned_after_the_grace_period(
    start: Starter, kind: Variant
) -> None:
    engine = start(kind.with_knobs(grace_s=1))
    with engine.connect() as client:
        client.send(sleeping(10_000))
        until(engine.blocked, "the handler sleeps")
        assert engine.stop().code == 0
        assert client.rest() == b"", "it did not wait for the handler's answer"


def test_the_end_of_the_lifeline_stops_the_engine(start: Starter, variant: Variant) -> None:
    theirs, ours = os.pipe()
    try:
        engine = start(unhurried(variant), arguments=["--lifeline-fd", str(theirs)], pass_fds=[theirs])
        with engine.connect() as client:
            assert client.ask().body == GREETING
            os.close(ours)
            ours = -1
            ended = engine.wait()
            assert (ended.code, ended.stderr) == (0, "")
            assert client.rest() == b""
    finally:
        os.close(theirs)
        if ours >= 0:
            os.close(ours)


PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "engines", *sys.argv[1:], "--parent-pid", str(os.getpid())],
                         stdout=subprocess.PIPE)
line = child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_no_engine_outlives_a_killed_parent(variant: Variant) -> None:
    """The kernel's own signal: also where there is no life-line, and whatever the engine is doing."""
    knobs = [part for name, value in variant.knobs for part in ("--set", f"{name}={value}")]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, variant.model, *knobs],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout
        engine = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert not select.select([engine], [], [], 0)[0], "it runs"
            parent.kill()
            assert select.select([engine], [], [], PATIENCE_S)[0], "it still runs"
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(engine, signal.SIGKILL)
            os.close(engine)


def test_an_engine_whose_parent_has_ended_does_not_start() -> None:
    command = [sys.executable, "-m", "engines", "reactor", "--parent-pid", "1"]
    if os.getppid() == 1 or Path("/proc/self").resolve().name == "1":
        pytest.skip("here the parent is process 1")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ended before" in done.stderr


@pytest.mark.parametrize(
    "kind", variants(lambda v: not v.pooled and v.model in ("reactor", "main-sub", "prefork"))
)
def test_a_loop_with_a_backlog_of_events_loses_no_request(start: Starter, kind: Variant) -> None:
    """More connections are ready than one wait returns; the time for idle ones passes meanwhile."""
    engine = start(unhurried(kind))
    with engine.clients(600) as clients:
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.answer().status == 200
        with engine.frozen():
            for client in clients[:100]:
                client.send(sleeping(3))
            engine.tell(signal.SIGTERM)
            for client in clients[100:]:
                client.send(sleeping(1))
        assert sum(client.answer().status == 200 for client in clients) == 600
    assert engine.wait().code == 0


@pytest.mark.parametrize("kind", variants(lambda v: v.name == "reactor"))
def test_requests_that_a_draining_loop_has_not_read_yet_are_answered(start: Starter, kind: Variant) -> None:
    """More connections are ready than one wait returns, and the first of them take longer than idle ones are
    kept.
    """
    engine = start(unhurried(kind))
    with engine.clients(600) as clients:
        clients[0].send(sleeping(500))
        until(engine.blocked, "the loop is busy")
        engine.tell(signal.SIGTERM)
        until(
            lambda: not has_pending_signals(engine.pid),
            "the signal is delivered: it is the first thing to be read",
        )
        with engine.frozen():
            for client in clients[1:100]:
                client.send(sleeping(3))
            for client in clients[100:]:
                client.send(GET)
        assert [client.answer().status for client in clients] == [200] * 600
    assert engine.wait().code == 0


def has_pending_signals(pid: int) -> bool:
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return any(int(mask, 16) for mask in masks)


@pytest.mark.parametrize("kind", variants(lambda v: v.model != "blocking"))
def test_the_accept_queue_of_a_saturated_engine_is_served_before_the_end(
    start: Starter, kind: Variant
) -> None:
    engine = start(unhurried(kind).with_knobs(max_connections=4))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(8)]
        for client in clients:
            client.send(sleeping(200))
        until(lambda: engine.board().saturated, "it is full")
        engine.tell(signal.SIGTERM)
        assert [client.answer().status for client in clients] == [200] * 8
    assert engine.wait().code == 0
