"""The knob `accept` of prefork: which process may accept from which listening socket."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from select import EPOLLEXCLUSIVE, EPOLLIN

import pytest

from engines.common.board.board import ACCEPTED
from engines.common.contract import ACCEPT_CHOICES, EXCLUSIVE, REUSEPORT, SHARED
from tests.engines.conftest import Starter
from tests.engines.drains import Drained, drain_under_churn, drain_under_load
from tests.engines.driver import GET, GREETING, Engine, Variant, until

PREFORK = Variant("prefork")
LISTEN = "0A"
LONG_S = 600  # longer than any drain of a test, however slow the machine


def workers(engine: Engine) -> list[int]:
    return [thread.pid for thread in engine.board().threads if thread.role == "worker"]


def listening(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == LISTEN and row[1].endswith(f":{port:04X}")}


def sockets(pid: int) -> dict[str, int]:
    """Return the descriptors of a process's sockets by inode."""
    links = {fd.name: str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return {link[8:-1]: int(fd) for fd, link in links.items() if link.startswith("socket:[")}


def watched_events(pid: int) -> dict[int, int]:
    """Return the events for which a process waits by epoll, by descriptor."""
    infos = [path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir()]
    found = [each for info in infos for each in re.findall(r"tfd: +(\d+) events: +([0-9a-f]+)", info)]
    return {int(fd): int(events, 16) for fd, events in found}


@pytest.mark.parametrize(("accept", "sockets_wanted"), [(SHARED, 1), (EXCLUSIVE, 1), (REUSEPORT, 3)])
def test_workers_have_one_listening_socket_or_each_its_own(
    start: Starter, accept: str, sockets_wanted: int
) -> None:
    engine = start(PREFORK.with_knobs(accept=accept, processes=3))
    inodes = listening(engine.port)
    assert len(inodes) == sockets_wanted
    held = [inodes & sockets(pid).keys() for pid in workers(engine)]
    assert set().union(*held) == inodes
    assert all(len(each) == 1 for each in held)
    with engine.clients(30) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        until(lambda: engine.board().counters["accepted"] == 30, "each was accepted once")


@pytest.mark.parametrize("accept", ACCEPT_CHOICES)
def test_only_exclusive_registers_the_listener_with_epollexclusive(start: Starter, accept: str) -> None:
    engine = start(PREFORK.with_knobs(accept=accept))
    for pid in workers(engine):
        fds = [fd for each in listening(engine.port) if (fd := sockets(pid).get(each))]
        (events,) = [events for fd, events in watched_events(pid).items() if fd in fds]
        assert events & EPOLLIN
        assert bool(events & EPOLLEXCLUSIVE) == (accept == EXCLUSIVE)


def test_a_full_worker_leaves_its_wake_up_to_one_that_has_room(start: Starter) -> None:
    """The kernel wakes the worker that began to wait first, which is full after two connections."""
    engine = start(PREFORK.with_knobs(accept=EXCLUSIVE, max_connections=4))
    with ExitStack() as stack:
        for number in range(1, 5):
            stack.enter_context(engine.connect())
            until(lambda number=number: engine.held() == number, "it is accepted")  # type: ignore[misc]
        until(lambda: engine.board().saturated, "it is full, and says so")
        waiting = stack.enter_context(engine.connect())
        waiting.send(GET)
    until(lambda: engine.held() == 0, "all are closed")
    with engine.connect() as client:
        assert client.ask().body == GREETING, "it accepts again"


def test_a_worker_that_is_replaced_listens_again(start: Starter) -> None:
    engine = start(PREFORK.with_knobs(accept=REUSEPORT))
    before, victim = listening(engine.port), workers(engine)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in engine.pids and len(engine.pids) == 3, "another has its place")
    until(lambda: len(listening(engine.port)) == 2, "it listens")
    assert len(listening(engine.port) & before) == 1, "the other worker has the socket that it had"
    with ExitStack() as stack:
        while not accepted_by(engine, index=0):
            assert stack.enter_context(engine.connect()).ask().body == GREETING


def accepted_by(engine: Engine, index: int) -> int:
    """Return how many connections the worker processes with this index have accepted."""
    threads = [each for each in engine.board().threads if each.role == "worker" and each.index == index]
    return sum(each.counters[ACCEPTED] for each in threads)


def test_a_port_of_another_engine_is_refused_although_it_could_be_shared(start: Starter) -> None:
    engine = start(PREFORK.with_knobs(accept=REUSEPORT))
    with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{engine.port}: Address already"):
        start(PREFORK.with_knobs(accept=REUSEPORT), arguments=("--port", str(engine.port)))


@pytest.mark.parametrize("drain", [drain_under_load, drain_under_churn], ids=["kept", "churn"])
@pytest.mark.parametrize("accept", [EXCLUSIVE, REUSEPORT])
def test_under_load_a_drain_loses_no_accepted_request(
    start: Starter, accept: str, drain: Callable[..., Drained]
) -> None:
    """tests/engines/process/test_drain.py has the same for `shared`."""
    drained = drain(start(PREFORK.with_knobs(accept=accept, grace_s=LONG_S)), 64, seed=1)
    assert drained.lost == ()
    assert (drained.code, drained.stderr) == (0, "")


@pytest.mark.parametrize("accept", [EXCLUSIVE, REUSEPORT])
def test_a_drain_serves_what_is_in_each_accept_queue(start: Starter, accept: str) -> None:
    engine = start(PREFORK.with_knobs(accept=accept, grace_s=LONG_S))
    with ExitStack() as stack:
        with engine.frozen():
            clients = [stack.enter_context(engine.connect()) for _ in range(200)]
            for client in clients:
                client.send(GET)
            engine.tell(signal.SIGTERM)
        for client in clients:
            assert client.answer().body == GREETING
            assert client.rest() == b""
    assert engine.wait().code == 0
