"""A trial in which something other than the load fails: what was measured is kept, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from app.fleet.fleet import Fleet
from app.lab import Lab
from app.load.protocol.meter import MEASURE, MeterReading
from app.machine.child import Child
from app.machine.syscalls import SystemCallCounter
from app.runs.generator import Generator
from app.runs.hot_swap import HotSwap
from app.runs.request import RunRequest
from app.runs.trial import Trial
from app.runs.worker import NO_DATA
from app.schemas.run import RunView
from tests.app.driver import endless, light, run_in_lab, run_in_thread, until_async


def pipes() -> list[str]:
    """The pipes and pidfds that this process has open; not its sockets, which may be of another test's lab."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the directory's own
            found.append(str(path.readlink()))
    return sorted(each for each in found if each.startswith("pipe:") or "pidfd" in each)


async def stopped_after(lab: Lab, failed: list[str], **asked: Any) -> RunView:
    """A run that goes on until something has failed, and some more requests have been answered since then."""
    run = await lab.runs.submit(RunRequest(model="reactor", **asked))
    await until_async(lambda: failed, "it has failed")
    (engine,) = lab.fleet.alive
    assert engine.board
    enough = engine.board.read().requests + 10
    await until_async(lambda: engine.board and engine.board.read().requests >= enough, "the load goes on")
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def test_a_stall_that_fails_leaves_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    async def fails(pids: object, ms: object) -> int:
        failed.append("stall")
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("app.runs.trial.pause_processes", fails)
    monkeypatch.setattr(Trial, "_is_middle", lambda trial: trial._watcher.now.phase == MEASURE)
    run = run_in_lab(tmp_path, lambda lab: stopped_after(lab, failed, plan=endless(stall_ms=100)))
    assert run.state == "stopped" and run.summary and run.summary.requests >= 10 and run.summary.errors == {}
    assert [mark.text for mark in run.marks] == ["could not be stalled: [Errno 24] Too many open files"]


def test_a_hand_over_that_fails_leaves_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, failed = Fleet.start, []

    async def only_one(self: Fleet, *args: Any, **more: Any) -> Any:
        if self.alive:
            failed.append("start")
            raise OSError(24, "Too many open files")
        return await start(self, *args, **more)

    def is_due(relay: HotSwap, now: MeterReading, _duration_s: float) -> bool:
        return now.phase == MEASURE and relay.asked == 0

    monkeypatch.setattr(Fleet, "start", only_one)
    monkeypatch.setattr(HotSwap, "is_due", is_due)
    then = [{"model": "blocking"}]
    run = run_in_lab(tmp_path, lambda lab: stopped_after(lab, failed, plan=endless(), then=then))
    assert run.state == "stopped" and run.summary and run.summary.requests >= 10 and run.summary.errors == {}
    assert [mark.text for mark in run.marks] == ["nobody took over: [Errno 24] Too many open files"]


def test_a_run_that_is_stopped_while_its_engine_starts_carries_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, starting, go_on = Fleet.start, asyncio.Event(), asyncio.Event()
    spawned = []

    async def held(self: Fleet, *args: Any, **more: Any) -> Any:
        view = await start(self, *args, **more)
        starting.set()
        await go_on.wait()
        return view

    async def play(lab: Lab) -> RunView:
        run = await lab.runs.submit(RunRequest(model="reactor", plan=endless()))
        await starting.wait()
        assert lab.runs.get(run.id).state == "warming"
        lab.runs.stop(run.id)
        go_on.set()
        ended = await lab.runs.finished(run.id)
        assert lab.fleet.alive == []
        return ended

    monkeypatch.setattr(Fleet, "start", held)
    monkeypatch.setattr(Generator, "spawn", lambda *args, **more: spawned.append(args))
    ended = run_in_lab(tmp_path, play)
    assert (ended.state, ended.summary, ended.verdict, ended.failure) == (
        "stopped",
        None,
        None,
        NO_DATA,
    )
    assert spawned == []


def test_a_generator_that_cannot_be_started_leaves_no_perf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Counting:
        async def close(self) -> None:
            closed.append(self)

    async def watch(pids: object) -> Counting:
        return Counting()

    def cannot(*_: object, **__: object) -> Generator:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(SystemCallCounter, "attach", watch)
    monkeypatch.setattr(Generator, "spawn", cannot)

    async def play(lab: Lab) -> RunView:
        return await lab.runs.finished(
            (await lab.runs.submit(RunRequest(model="reactor", plan=light(trace=True)))).id
        )

    run = run_in_lab(tmp_path, play)
    assert run.state == "failed" and "unavailable" in (run.failure or "")
    assert len(closed) == 1


def test_a_fault_of_the_lab_itself_fails_the_run_and_not_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, broken = Generator.spawn, iter([True])

    def spawned(*args: Any, **more: Any) -> Generator:
        if next(broken, False):
            raise TypeError("no programmer has thought of this")
        return spawn(*args, **more)

    async def play(lab: Lab) -> list[RunView]:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        ids = [(await lab.runs.submit(RunRequest(model="reactor", plan=light()))).id for _ in range(2)]
        ended = [await lab.runs.finished(id) for id in ids]
        assert [type(error) for error in told] == [TypeError], "its log has the traceback"
        lab.require_ready()
        return ended

    monkeypatch.setattr(Generator, "spawn", spawned)
    first, second = run_in_lab(tmp_path, play)
    assert first.state == "failed" and "TypeError: no programmer has thought of this" in (first.failure or "")
    assert second.state == "finished" and second.summary


def test_perf_that_cannot_be_started_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> Child:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("app.machine.syscalls.shutil.which", lambda _: "/usr/bin/perf")
    monkeypatch.setattr(Child, "spawn", cannot)
    before = pipes()
    with pytest.raises(OSError, match="unavailable"):
        run_in_thread(lambda: SystemCallCounter.attach([os.getpid()]))
    assert pipes() == before


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
        watch = asyncio.create_task(SystemCallCounter.attach([os.getpid()]))
        await until_async(lambda: started, "perf has been started")
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert watch.cancelled() and not started[0].alive

    before = pipes()
    run_in_thread(call_off)
    assert pipes() == before
