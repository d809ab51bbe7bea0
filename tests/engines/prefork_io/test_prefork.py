"""Prefork: a worker process that ends is replaced, none is left behind, and the board stays consistent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from engines.common.board.board import (
    ACCEPTED,
    C_IDLE,
    CONNECTIONS,
    FLAG_OUT_OF_DESCRIPTORS,
    FLAG_SATURATED,
    REQUESTS_2XX,
    EngineInfo,
    make_board,
)
from engines.common.board.reader import BoardReader, ThreadReading
from engines.common.board.writer import Board
from engines.common.process.threads import EXIT_CRASHED
from engines.prefork_io.worker_process import RESTART_INTERVAL_S
from tests.engines.conftest import Starter
from tests.engines.driver import GREETING, HOST, PATIENCE_S, ROOT, Client, Engine, Variant, until

PREFORK = Variant("prefork")
MOST = 400  # connections after which each process must have been given some


def workers(engine: Engine) -> list[ThreadReading]:
    return [thread for thread in engine.board().threads if thread.role == "worker"]


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that has not been reaped counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def in_each(engine: Engine, least: int = 1) -> Iterator[list[Client]]:
    """Open connections until each process has some: the kernel chooses the process."""
    with ExitStack() as stack:
        clients: list[Client] = []
        while min(worker.connections for worker in workers(engine)) < least:
            assert len(clients) < MOST, "one process takes all of them"
            clients.append(stack.enter_context(engine.connect()))
            until(lambda: engine.held() == len(clients), "it is held")
        yield clients


# The board of several processes


@contextmanager
def board_of_two() -> Iterator[tuple[Board, Board, Board, BoardReader]]:
    fd = make_board(4, 64)
    reader = BoardReader(fd)
    try:
        whole = Board(fd, EngineInfo("prefork", "3.13", True, ("master", "worker")))
        yield whole, whole.partition(0, 2), whole.partition(1, 2), reader
    finally:
        reader.close()
        os.close(fd)


def test_the_same_descriptor_of_two_processes_has_two_words() -> None:
    with board_of_two() as (_, one, two, reader):
        one.words[7] = two.words[7] = C_IDLE
        assert reader.read().connections["idle"] == 2
        one.words[7] = 0
        assert reader.read().connections["idle"] == 1
        assert len(one.words) == len(two.words) == 32


def test_saturated_means_every_process_and_out_of_descriptors_means_any() -> None:
    with board_of_two() as (_, one, two, reader):
        one.set_flag(FLAG_SATURATED, True)
        assert reader.flags() == (False, False)
        two.set_flag(FLAG_SATURATED, True)
        assert reader.flags() == (False, True)
        one.set_flag(FLAG_SATURATED, False)
        two.set_flag(FLAG_OUT_OF_DESCRIPTORS, True)
        reading = reader.read()
        assert (reading.out_of_descriptors, reading.saturated, reading.accept_pauses) == (True, False, 3)
        assert reader.flags() == (True, False)


def test_counts_of_a_dead_process_stay_and_its_connections_are_closed() -> None:
    with board_of_two() as (whole, one, two, reader):
        row = whole.claim("worker")
        whole.attach(row)
        row.counters[ACCEPTED], row.requests_2xx = 9, 5
        row.publish()
        row.cells[CONNECTIONS] = 3
        one.words[:4] = two.words[:4] = memoryview(bytes([C_IDLE, 0, 0, 0] * 4)).cast("I")
        one.set_flag(FLAG_OUT_OF_DESCRIPTORS, True)
        row.requests_2xx = 7  # counted, not published: it dies with the process
        one.reap(row, voluntary=11, involuntary=2)
        reading = reader.read()
        assert (reading.counters["accepted"], reading.counters["closed"], reading.requests) == (9, 9, 5)
        assert (reading.counters["voluntary_switches"], reading.counters["involuntary_switches"]) == (11, 2)
        assert (reading.threads, reading.out_of_descriptors) == ((), False)
        assert reading.connections["idle"] == 4, "the other process's"
        assert whole.claim("worker").slot == row.slot


def test_a_board_lists_its_processes() -> None:
    with board_of_two() as (whole, *_, reader):
        assert reader.processes() == ()
        whole.attach(whole.claim("master"))
        assert reader.processes() == (os.getpid(),)


# Processes that end


def test_a_killed_worker_is_replaced_and_the_others_do_not_notice(start: Starter) -> None:
    engine = start(PREFORK)
    with in_each(engine) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        victim, other = workers(engine)
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: victim.pid not in engine.pids and len(engine.pids) == 3, "another has its place")
        until(lambda: engine.held() == other.connections, "only its own connections are gone")
        alive = [client for client in clients if not ended(client)]
        assert len(alive) == other.connections
        for client in alive:
            assert client.ask().body == GREETING
        replaced, same = workers(engine)
        assert (replaced.slot, replaced.index, replaced.generation) == (victim.slot, victim.index, 2)
        assert (same.pid, same.generation) == (other.pid, 1)
        until(
            lambda: engine.board().connections["idle"] == other.connections,
            "and so are the words of the dead",
        )
    until(lambda: engine.held() == 0, "all are closed")
    until(
        lambda: engine.board().counters["accepted"] == engine.board().counters["closed"],
        "all is accounted for",
    )
    assert "worker process 1 was killed (SIGKILL); starting replacement 1" in engine.stderr()


def ended(client: Client) -> bool:
    if not client.readable():
        return False
    try:
        return client.sock.recv(1) == b""
    except ConnectionError:
        return True


def test_workers_killed_repeatedly_are_replaced_without_a_leak(start: Starter) -> None:
    engine = start(PREFORK)
    before = descriptors(engine.pid)
    for round_ in range(6):
        victim = workers(engine)[round_ % 2]
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda pid=victim.pid: pid not in engine.pids and len(workers(engine)) == 2, "it is replaced")  # type: ignore[misc]
        with engine.connect() as client:
            assert client.ask().body == GREETING
    assert "starting replacement 6\n" in engine.stderr()
    until(lambda: descriptors(engine.pid) == before, "the master holds no more than before")
    assert engine.board().counters["voluntary_switches"] > 0, "those of processes that ended"


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_two_workers_killed_at_once_are_replaced(start: Starter) -> None:
    engine = start(PREFORK)
    before = engine.pids
    for worker in workers(engine):
        os.kill(worker.pid, signal.SIGKILL)
    until(lambda: len(set(engine.pids) - set(before)) == 2, "both are replaced")
    with engine.connect() as client:
        assert client.ask().body == GREETING


def born_s(pid: int) -> float:
    """Return when the process was forked, in seconds since boot, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def test_a_worker_that_dies_early_is_restarted_with_a_delay(start: Starter) -> None:
    engine = start(PREFORK.with_knobs(processes=1))
    births = []
    for _ in range(3):
        (victim,) = workers(engine)
        births.append(born_s(victim.pid))
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda pid=victim.pid: [w.pid for w in workers(engine) if w.pid not in (0, pid)], "another")  # type: ignore[misc]
    assert min(later - earlier for earlier, later in pairwise(births)) >= RESTART_INTERVAL_S - 0.05


CRASHES = """
import sys
from types import SimpleNamespace
from engines import prefork
from engines.common.process.lifecycle import LaunchOptions, run
from engines.common.calibration import Calibration

def run_worker(listener, setup, row):
    if sys.argv[1] == "at once":
        raise LookupError("a fault of ours")
    setup.ready()
    listener.setblocking(True)
    listener.accept()
    raise LookupError("a fault of ours")

prefork.run_worker = run_worker
module = SimpleNamespace(MODEL=prefork.MODEL, serve=prefork.serve)
run(module, LaunchOptions({}, calibration=Calibration(1.0, 1.0)))
"""


@pytest.mark.parametrize(("when", "code"), [("at once", 1), ("later", EXIT_CRASHED)])
def test_an_uncaught_exception_in_a_worker_ends_the_engine(when: str, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CRASHES, when],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as engine:
        assert engine.stdout and engine.stderr
        if when == "later":
            port = int(engine.stdout.readline().split('"port": ')[1].split(",")[0])
            Client(port).sock.close()
        assert engine.wait(PATIENCE_S) == code
        said = engine.stderr.read()
    assert "LookupError: a fault of ours" in said
    assert any(line.startswith("worker process ") for line in said.splitlines())


# No process is left behind


@pytest.mark.parametrize("whom", [signal.SIGTERM, signal.SIGINT])
def test_workers_ignore_the_signals_that_stop_the_master(start: Starter, whom: signal.Signals) -> None:
    """A worker ignores them; a terminal sends them to all of the group, and then all drain."""
    engine = start(PREFORK)
    pids = engine.pids
    with in_each(engine) as clients:
        for worker in workers(engine):
            os.kill(worker.pid, whom)
        for client in clients:
            assert client.ask().body == GREETING
        assert engine.pids == pids
        stopped = engine.stop(whom)
        assert (stopped.code, stopped.stderr) == (0, "")
        for client in clients:
            assert client.rest() == b""
    assert all(gone(pid) for pid in pids)


def test_no_worker_outlives_a_killed_master(start: Starter) -> None:
    engine = start(PREFORK)
    pids = engine.pids
    with in_each(engine) as clients:
        clients[0].send(b"GET /sleep?ms=10000 HTTP/1.1\r\n" + HOST + b"\r\n")
        until(engine.blocked, "a handler sleeps")
        assert engine.stop(signal.SIGKILL).code == -signal.SIGKILL
        until(lambda: all(gone(pid) for pid in pids), "every worker is gone")


def test_a_worker_that_hangs_is_killed_after_the_grace_period(start: Starter) -> None:
    engine = start(PREFORK.with_knobs(grace_s=1))
    hung = workers(engine)[1].pid
    os.kill(hung, signal.SIGSTOP)
    ended = engine.stop()
    assert ended.code == 0
    assert ended.stderr == "worker process 2 did not drain within the grace period (SIGKILL)\n"
    assert gone(hung)


# What it is for


@pytest.mark.parametrize(("processes", "most"), [(2, 5), (4, 3), (1, 4)])
def test_the_connection_limit_is_divided_among_the_workers(start: Starter, processes: int, most: int) -> None:
    engine = start(PREFORK.with_knobs(processes=processes, max_connections=most))
    with ExitStack() as stack:
        for _ in range(most + 3):
            stack.enter_context(engine.connect())
        until(lambda: engine.held() == most and engine.board().saturated, "it is full, and says so")
        share = -(-most // processes)
        assert max(worker.connections for worker in workers(engine)) <= share


@contextmanager
def groups(engine: Engine, size: int) -> Iterator[list[list[Client]]]:
    """Open so many connections to each process, distinguished by whose counter changes."""
    with in_each(engine, size) as clients:
        found: dict[int, list[Client]] = {}
        for client in clients:
            before = requests(engine)
            assert client.ask().body == GREETING
            until(lambda before=before: requests(engine) != before, "it is counted")  # type: ignore[misc]
            (pid,) = (pid for pid, count in requests(engine).items() if count != before[pid])
            found.setdefault(pid, []).append(client)
        yield [group[:size] for group in found.values()]


def requests(engine: Engine) -> dict[int, int]:
    return {worker.pid: worker.counters[REQUESTS_2XX] for worker in workers(engine)}


def test_a_slow_request_delays_its_own_process_only(start: Starter) -> None:
    engine = start(PREFORK)
    with groups(engine, 2) as ((slow, beside), elsewhere):
        begin_to_sleep(engine, slow, 500)
        assert beside.ask().body == GREETING
        assert slow.readable(), "it had to end before its neighbour was answered"
        assert slow.answer().body == b"slept 500 ms\n"
        begin_to_sleep(engine, slow, 10_000)
        for other in elsewhere:
            assert other.ask().body == GREETING
        assert not slow.readable(), "the others were answered while it slept"
        engine.kill()


def begin_to_sleep(engine: Engine, client: Client, ms: int) -> None:
    client.send(b"GET /sleep?ms=%d HTTP/1.1\r\n" % ms + HOST + b"\r\n")
    until(engine.blocked, "a handler sleeps")


@pytest.mark.parametrize("processes", [1, 16])
def test_an_engine_runs_with_the_fewest_and_the_most_processes(start: Starter, processes: int) -> None:
    engine = start(PREFORK.with_knobs(processes=processes))
    assert len(engine.pids) == processes + 1
    assert len({worker.pid for worker in workers(engine)}) == processes
    with engine.clients(40) as clients:
        for client in clients:
            assert client.ask().body == GREETING
        until(lambda: engine.board().connections["idle"] == 40, "all of them are seen")
