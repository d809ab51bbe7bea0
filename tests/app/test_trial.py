"""A trial in which something beside the load fails: what was measured is kept, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.lab.child import Child
from app.lab.fleet import Fleet
from app.lab.generator import Generator
from app.lab.lab import Lab
from app.lab.syscalls import SystemCalls
from app.lab.views import RunView
from app.settings import Settings

from .driver import plan

T = TypeVar("T")
OPEN = {"executor": "constant-arrival-rate", "rate_per_s": 100}


def in_a_lab(data_dir: Path, do: Callable[[Lab], Awaitable[T]]) -> T:
    """Do something with a lab of this very process, so that a test can break its parts."""

    async def all_of_it() -> T:
        async with Lab.open(Settings(data_dir=data_dir)) as lab:
            return await do(lab)

    # On a thread of its own: a browser test of the same process may have left its event loop running on this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, all_of_it()).result()


async def carried_out(lab: Lab, **asked: Any) -> RunView:
    submitted = await lab.runs.submit(model="reactor", **asked)
    return await lab.runs.finished(submitted.id)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_stall_that_fails_leaves_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(pids: object, ms: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("app.lab.trial.stall", fails)
    run = in_a_lab(tmp_path, lambda lab: carried_out(lab, plan=plan(0.6, 0, stall_ms=100, **OPEN)))
    assert run.state == "finished" and run.summary and run.summary.requests == 60
    assert [mark.text for mark in run.marks] == ["could not be stalled: [Errno 24] Too many open files"]


def test_a_hand_over_that_fails_leaves_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Fleet.start

    async def only_one(self: Fleet, *args: Any, **more: Any) -> Any:
        if self.alive:
            raise OSError(24, "Too many open files")
        return await start(self, *args, **more)

    monkeypatch.setattr(Fleet, "start", only_one)
    then = [{"model": "blocking"}]
    run = in_a_lab(tmp_path, lambda lab: carried_out(lab, plan=plan(0.6, 0, **OPEN), then=then))
    assert run.state == "finished" and run.summary and run.summary.requests == 60
    assert [mark.text for mark in run.marks] == ["nobody took over: [Errno 24] Too many open files"]


def test_a_generator_that_cannot_be_started_leaves_no_perf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Counting:
        async def close(self) -> None:
            closed.append(self)

    async def watch(pids: object) -> Counting:
        return Counting()

    def cannot(*_: object) -> Generator:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(SystemCalls, "watch", watch)
    monkeypatch.setattr(Generator, "spawn", cannot)
    run = in_a_lab(tmp_path, lambda lab: carried_out(lab, plan=plan(0.5, 0, trace=True)))
    assert run.state == "failed" and "unavailable" in (run.failure or "")
    assert len(closed) == 1


def test_perf_that_cannot_be_started_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> Child:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("app.lab.syscalls.shutil.which", lambda _: "/usr/bin/perf")
    monkeypatch.setattr(Child, "spawn", cannot)
    before = open_files()
    with pytest.raises(OSError, match="unavailable"), ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, SystemCalls.watch([os.getpid()])).result()
    assert open_files() == before


def test_a_wait_for_perf_that_is_called_off_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    perf = tmp_path / "perf"
    perf.write_text("#!/bin/sh\nexec sleep 60\n")
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started: list[Child] = []
    spawn = Child.spawn

    def spawned(*args: Any, **more: Any) -> Child:
        started.append(spawn(*args, **more))
        return started[0]

    monkeypatch.setattr(Child, "spawn", spawned)

    async def call_off() -> None:
        watch = asyncio.create_task(SystemCalls.watch([os.getpid()]))
        while not started:
            await asyncio.sleep(0.01)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert watch.cancelled() and not started[0].alive

    before = open_files()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, call_off()).result()
    assert open_files() == before
