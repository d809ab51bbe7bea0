"""What threads and processes use, looked at again and again: what was not read is no number, and no old one either."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.lab.clocks import ThreadWatch
from app.lab.proc import read_process, read_processes
from engines.common.board import WAITING
from engines.common.board_reader import ThreadReading

from .driver import gone, until
from .test_scarce import at_most

USED_S = 0.02


class Worker:
    """A thread of this process that has used some CPU, and waits."""

    def __init__(self) -> None:
        self._end, ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(ready,))
        self._thread.start()
        assert ready.wait(10)
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
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    before = read_process(os.getpid())
    with subprocess.Popen([sys.executable, "-c", spin]) as child:
        until(lambda: gone(child.pid), "it has ended, and nobody has asked how", 20)
        both = read_processes((os.getpid(), child.pid))
        assert read_process(child.pid) is None
    after = read_processes((os.getpid(), child.pid))
    assert before and both and after
    assert both.cpu_ns - before.cpu_ns > 300_000_000 and after.cpu_ns - both.cpu_ns > -50_000_000, (
        "in ticks from then on"
    )
