"""What threads and processes use, looked at again and again: what was not read is no number, and no old one either."""

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
from app.fleet.models import Models
from app.fleet.sampler import Sampler
from app.machine.proc import ProcessReading, read_process, read_processes
from app.machine.thread_stats import LOOK_MAX, ThreadWatch
from app.settings import Settings
from engines.common.board.board import WAITING, EngineInfo, make_board
from engines.common.board.reader import BoardReader, ThreadReading
from engines.common.board.writer import Board
from tests.app.driver import gone, on_a_thread, until
from tests.app.test_scarce import at_most
from tests.waiting import BOUND_S

USED_S = 0.02


class Worker:
    """A thread of this process that has used some CPU, and waits."""

    def __init__(self) -> None:
        self._end, ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(ready,))
        self._thread.start()
        assert ready.wait(BOUND_S)
        self.tid = self._thread.native_id or 0

    def _work(self, ready: threading.Event) -> None:
        while time.thread_time() < USED_S:
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
def watch() -> Iterator[ThreadWatch]:
    """One that has looked already, when there was no thread yet."""
    watch = ThreadWatch()
    watch.look((), time.monotonic_ns())
    yield watch
    watch.close()


def look(watch: ThreadWatch, tid: int) -> float | None:
    """Look at a thread of ours; answers its CPU."""
    row = ThreadReading(0, 1, os.getpid(), tid, "worker", 0, WAITING, 0, ())
    watch.look((row,), time.monotonic_ns())
    return watch.rates[tid].cpu_percent if tid in watch.rates else None


def test_a_thread_that_is_new_has_begun_since_the_last_look() -> None:
    with watch() as watching:
        worker = Worker()
        try:
            used = look(watching, worker.tid)
            assert used is not None and 0 < used <= 101, "of one CPU"
        finally:
            worker.end()


def test_after_a_look_that_failed_it_is_not_known_since_when_a_thread_has_used_what(worker: Worker) -> None:
    with watch() as watching:
        with at_most(os.getpid(), 0):
            assert look(watching, worker.tid) is None
        assert watching.switches is None, "it has some"
        assert look(watching, worker.tid) is None, "all its life in no time"
        assert watching.switches
        assert look(watching, worker.tid) is not None


def test_nothing_old_is_shown_of_a_thread_that_is_gone(worker: Worker) -> None:
    with watch() as watching:
        look(watching, worker.tid)
        assert look(watching, worker.tid) is not None
        worker.end()  # and its row does not say so: its process was killed
        look(watching, worker.tid)
        assert worker.tid not in watching.rates


def test_the_first_thread_of_a_process_has_worked_before_it_came_to_the_board() -> None:
    with watch() as watching:
        assert time.process_time() > USED_S
        assert look(watching, os.getpid()) is None
        assert look(watching, os.getpid()) is not None


def test_a_process_that_has_ended_counts_until_its_parent_accounts_for_it() -> None:
    spin = "import time\nwhile time.process_time() < 0.1: pass"
    before = read_process(os.getpid())
    with subprocess.Popen([sys.executable, "-c", spin]) as child:
        until(lambda: gone(child.pid), "it has ended, and nobody has asked how")
        both = read_processes((os.getpid(), child.pid))
        assert read_process(child.pid) is None
    after = read_processes((os.getpid(), child.pid))
    assert before and both and after
    assert both.cpu_ns - before.cpu_ns > 100_000_000 and after.cpu_ns - both.cpu_ns > -50_000_000, (
        "in ticks from then on"
    )


class Threads:
    """Threads of this process that wait, each with a row of a board."""

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
        """End them all; their rows stay on the board, as those of a killed process do."""
        self._end.set()
        for thread in self._threads:
            thread.join()
            task = Path(f"/proc/self/task/{thread.native_id}")
            until(lambda task=task: not task.exists(), "a thread has ended")  # type: ignore[misc]


class KilledEngine:
    """Stands for an engine with more threads than one sample reads, which is killed when each has a CPU figure.

    `Fleet.sample_all` calls `look` after each sample, so that is where time passes here: in one round the process is
    gone from /proc and the lab does not yet know that the engine has ended; in the next round it does.
    """

    def __init__(self, board: BoardReader, threads: Threads, number: int) -> None:
        self.id, self.board, self.pid, self.alive, self.tracing = "reactor-1", board, os.getpid(), True, None
        self.sampler = Sampler(cast(Engine, self))
        self._threads, self._number, self._rounds, self._rounds_since = threads, number, 0, 0

    @property
    def known(self) -> int:
        """How many threads have a CPU figure."""
        return sum(rates.cpu_percent is not None for rates in self.sampler.threads.values())

    def look(self, _suspended: bool) -> None:
        self._rounds += 1
        assert self._rounds < 50, "each thread was sampled twice after four rounds"
        if self._rounds_since:
            self._rounds_since += 1
            self.alive = False
        elif self.known == self._number:
            self._threads.end()
            self._rounds_since = 1
        if self._rounds_since == 4:
            raise asyncio.CancelledError

    def process(self) -> ProcessReading | None:
        return None if self._rounds_since else read_process(os.getpid())


def test_no_thread_of_an_engine_that_was_seen_dead_too_early_keeps_its_last_figure() -> None:
    number = LOOK_MAX + 36
    with ExitStack() as stack:
        fd = make_board(number, 16)
        stack.callback(os.close, fd)
        reader = BoardReader(fd)
        stack.callback(reader.close)
        threads = Threads(number, Board(fd, EngineInfo("reactor-pool", "3.11.7", True, ("worker",))))
        stack.callback(threads.end)
        engine = KilledEngine(reader, threads, number)
        stack.callback(engine.sampler.close)
        fleet = Fleet(Settings(sample_interval_ms=50), cast(Models, None), Events())
        fleet.engines[engine.id], fleet.samplers[engine.id] = cast(Engine, engine), engine.sampler

        async def sample() -> None:
            with pytest.raises(asyncio.CancelledError):
                await fleet.sample_all()

        on_a_thread(sample)
        assert engine.known == 0
        view: Any = engine.sampler.view()
        assert len(view.threads) == number, "the board still shows them"
        assert {thread.cpu_percent for thread in view.threads} == {None}
