"""CPU use of threads and processes: a failed reading is shown as unknown, never as 0 or as an old value."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from app.events import Events
from app.fleet.engine import Engine
from app.fleet.fleet import Fleet
from app.fleet.launchables import Launchables
from app.fleet.sampler import Sampler
from app.machine.proc import ProcessReading, read_process, read_processes
from app.machine.thread_stats import THREADS_PER_SAMPLE, ThreadStats
from app.settings import Settings
from engines.common.board.board import WAITING, EngineInfo, make_board
from engines.common.board.reader import BoardReader, ThreadReading
from engines.common.board.writer import Board
from tests.app.driver import has_ended, run_in_thread, until
from tests.app.test_descriptor_limit import descriptor_limit
from tests.waiting import BOUND_S

CPU_USED_S = 0.02


class Worker:
    """A thread of this process that has used CPU_USED_S of CPU and is now blocked."""

    def __init__(self) -> None:
        self._end, ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(ready,))
        self._thread.start()
        assert ready.wait(BOUND_S)
        self.tid = self._thread.native_id or 0

    def _work(self, ready: threading.Event) -> None:
        while time.thread_time() < CPU_USED_S:
            pass
        ready.set()
        self._end.wait()

    def end(self) -> None:
        self._end.set()
        self._thread.join()
        until(lambda: not Path(f"/proc/self/task/{self.tid}").exists(), "the kernel has no such thread")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


@contextmanager
def sampled_once() -> Iterator[ThreadStats]:
    """Return statistics that have been sampled once, when there was no thread."""
    stats = ThreadStats()
    stats.sample((), time.monotonic_ns())
    yield stats
    stats.close()


def cpu_percent(stats: ThreadStats, tid: int) -> float | None:
    """Sample a thread of this process; return its CPU in percent, None if it is unknown."""
    row = ThreadReading(0, 1, os.getpid(), tid, "worker", 0, WAITING, 0, ())
    stats.sample((row,), time.monotonic_ns())
    return stats.rates[tid].cpu_percent if tid in stats.rates else None


def test_a_new_thread_has_begun_since_the_last_sample() -> None:
    with sampled_once() as stats:
        worker = Worker()
        try:
            used = cpu_percent(stats, worker.tid)
            assert used is not None and 0 < used <= 101, "of one CPU"
        finally:
            worker.end()


def test_after_a_failed_reading_the_rate_is_unknown(worker: Worker) -> None:
    with sampled_once() as stats:
        with descriptor_limit(os.getpid(), 0):
            assert cpu_percent(stats, worker.tid) is None
        assert stats.switches is None, "the thread could not be read"
        assert cpu_percent(stats, worker.tid) is None, "its total is not a rate"
        assert stats.switches
        assert cpu_percent(stats, worker.tid) is not None


def test_an_ended_thread_has_no_rates(worker: Worker) -> None:
    with sampled_once() as stats:
        cpu_percent(stats, worker.tid)
        assert cpu_percent(stats, worker.tid) is not None
        worker.end()  # its board row remains, as that of a killed process does
        cpu_percent(stats, worker.tid)
        assert worker.tid not in stats.rates


def test_the_first_thread_of_a_process_has_used_cpu_before_it_appeared_on_the_board() -> None:
    with sampled_once() as stats:
        assert time.process_time() > CPU_USED_S
        assert cpu_percent(stats, os.getpid()) is None
        assert cpu_percent(stats, os.getpid()) is not None


def test_an_ended_process_counts_until_its_parent_has_waited_for_it() -> None:
    spin = "import time\nwhile time.process_time() < 0.1: pass"
    before = read_process(os.getpid())
    with subprocess.Popen([sys.executable, "-c", spin]) as child:
        until(lambda: has_ended(child.pid), "the child is a zombie")
        both = read_processes((os.getpid(), child.pid))
        assert read_process(child.pid) is None
    after = read_processes((os.getpid(), child.pid))
    assert before and both and after
    assert both.cpu_ns - before.cpu_ns > 100_000_000 and after.cpu_ns - both.cpu_ns > -50_000_000, (
        "then its time is rounded down to ticks"
    )


class BlockedThreads:
    """Blocked threads of this process, each with a row of a board."""

    def __init__(self, number: int, board: Board) -> None:
        self._end, claimed = threading.Event(), threading.Barrier(number + 1)
        self._threads = [threading.Thread(target=self._wait, args=(board, claimed)) for _ in range(number)]
        for thread in self._threads:
            thread.start()
        claimed.wait(BOUND_S)

    def _wait(self, board: Board, claimed: threading.Barrier) -> None:
        board.attach(board.claim("worker"))
        claimed.wait(BOUND_S)
        self._end.wait()

    def end(self) -> None:
        """End all threads; their rows remain on the board, as those of a killed process do."""
        self._end.set()
        for thread in self._threads:
            thread.join()
            task = Path(f"/proc/self/task/{thread.native_id}")
            until(lambda task=task: not task.exists(), "a thread has ended")  # type: ignore[misc]


class KilledEngine:
    """A fake engine with more threads than one sample reads. It is killed when each thread has a CPU value.

    `Fleet.sample_all` calls `update_state` after each sample, so time advances there: in one round the
    process is gone from /proc and the lab does not know yet that the engine has ended; in the next round it
    does.
    """

    def __init__(self, board: BoardReader, threads: BlockedThreads, number: int) -> None:
        self.id, self.board, self.pid, self.alive, self.tracing = "reactor-1", board, os.getpid(), True, None
        self.sampler = Sampler(cast(Engine, self))
        self._threads, self._number, self._rounds, self._rounds_dead = threads, number, 0, 0

    @property
    def known_count(self) -> int:
        """How many threads have a CPU value."""
        return sum(rates.cpu_percent is not None for rates in self.sampler.thread_rates.values())

    def update_state(self, _suspended: bool) -> None:
        self._rounds += 1
        assert self._rounds < 50, "each thread was sampled twice after four rounds"
        if self._rounds_dead:
            self._rounds_dead += 1
            self.alive = False
        elif self.known_count == self._number:
            self._threads.end()
            self._rounds_dead = 1
        if self._rounds_dead == 4:
            raise asyncio.CancelledError

    def read_process(self) -> ProcessReading | None:
        return None if self._rounds_dead else read_process(os.getpid())


def test_no_thread_of_a_killed_engine_keeps_its_last_cpu_value() -> None:
    number = THREADS_PER_SAMPLE + 36
    with ExitStack() as stack:
        fd = make_board(number, 16)
        stack.callback(os.close, fd)
        reader = BoardReader(fd)
        stack.callback(reader.close)
        threads = BlockedThreads(number, Board(fd, EngineInfo("reactor-pool", "3.11.7", True, ("worker",))))
        stack.callback(threads.end)
        engine = KilledEngine(reader, threads, number)
        stack.callback(engine.sampler.close)
        fleet = Fleet(Settings(sample_interval_ms=50), cast(Launchables, None), Events())
        fleet.engines[engine.id], fleet.samplers[engine.id] = cast(Engine, engine), engine.sampler

        async def sample() -> None:
            with pytest.raises(asyncio.CancelledError):
                await fleet.sample_all()

        run_in_thread(sample)
        assert engine.known_count == 0
        view: Any = engine.sampler.view()
        assert len(view.threads) == number, "the board still shows the threads"
        assert {thread.cpu_percent for thread in view.threads} == {None}
