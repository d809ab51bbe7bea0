"""A trial in which something other than the load fails: the measurement is kept and nothing is leaked."""

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
    """Return the open pipes and pidfds of this process; its sockets may belong to the lab of another test."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of the directory itself
            found.append(str(path.readlink()))
    return sorted(each for each in found if each.startswith("pipe:") or "pidfd" in each)


async def stopped_after(lab: Lab, failed: list[str], **fields: Any) -> RunView:
    """Return a run that was stopped after something had failed and more requests were served."""
    run = await lab.runs.submit(RunRequest(model="reactor", **fields))
    await until_async(lambda: failed, "the failure has occurred")
    (engine,) = lab.fleet.alive
    assert engine.metrics_board
    requests = engine.metrics_board.read().requests + 10
    await until_async(
        lambda: engine.metrics_board and engine.metrics_board.read().requests >= requests,
        "the load continues",
    )
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def test_the_measurement_is_kept_if_a_pause_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    async def fails(pids: object, ms: object) -> int:
        failed.append("pause")
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("app.runs.trial.pause_processes", fails)
    monkeypatch.setattr(Trial, "_is_pause_time", lambda trial: trial._watcher.latest.phase == MEASURE)
    run = run_in_lab(tmp_path, lambda lab: stopped_after(lab, failed, plan=endless(stall_ms=100)))
    assert run.state == "stopped" and run.summary and run.summary.requests >= 10 and run.summary.errors == {}
    assert [mark.text for mark in run.marks] == ["server pause failed: [Errno 24] Too many open files"]


def test_the_measurement_is_kept_if_a_hot_swap_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, failed = Fleet.start, []

    async def only_one(self: Fleet, *args: Any, **more: Any) -> Any:
        if self.alive:
            failed.append("start")
            raise OSError(24, "Too many open files")
        return await start(self, *args, **more)

    def is_due(hot_swap: HotSwap, now: MeterReading, _duration_s: float) -> bool:
        return now.phase == MEASURE and hot_swap.requested == 0

    monkeypatch.setattr(Fleet, "start", only_one)
    monkeypatch.setattr(HotSwap, "is_due", is_due)
    then = [{"model": "blocking"}]
    run = run_in_lab(tmp_path, lambda lab: stopped_after(lab, failed, plan=endless(), then=then))
    assert run.state == "stopped" and run.summary and run.summary.requests >= 10 and run.summary.errors == {}
    assert [mark.text for mark in run.marks] == ["hot swap failed: [Errno 24] Too many open files"]


def test_a_run_stopped_while_its_engine_starts_sends_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, starting, resume = Fleet.start, asyncio.Event(), asyncio.Event()
    spawned = []

    async def held(self: Fleet, *args: Any, **more: Any) -> Any:
        view = await start(self, *args, **more)
        starting.set()
        await resume.wait()
        return view

    async def play(lab: Lab) -> RunView:
        run = await lab.runs.submit(RunRequest(model="reactor", plan=endless()))
        await starting.wait()
        assert lab.runs.get(run.id).state == "warming"
        lab.runs.stop(run.id)
        resume.set()
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


def test_perf_is_ended_if_the_load_generator_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Counting:
        async def close(self) -> None:
            closed.append(self)

    async def attach(pids: object) -> Counting:
        return Counting()

    def fail(*_: object, **__: object) -> Generator:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(SystemCallCounter, "attach", attach)
    monkeypatch.setattr(Generator, "spawn", fail)

    async def play(lab: Lab) -> RunView:
        return await lab.runs.finished(
            (await lab.runs.submit(RunRequest(model="reactor", plan=light(trace=True)))).id
        )

    run = run_in_lab(tmp_path, play)
    assert run.state == "failed" and "unavailable" in (run.failure or "")
    assert len(closed) == 1


def test_an_internal_error_fails_the_run_and_not_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, broken = Generator.spawn, iter([True])

    async def spawned(*args: Any, **more: Any) -> Generator:
        if next(broken, False):
            raise TypeError("unexpected")
        return await spawn(*args, **more)

    async def play(lab: Lab) -> list[RunView]:
        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: logged.append(context["exception"])
        )
        ids = [(await lab.runs.submit(RunRequest(model="reactor", plan=light()))).id for _ in range(2)]
        ended = [await lab.runs.finished(id) for id in ids]
        assert [type(error) for error in logged] == [TypeError], "the log has the traceback"
        lab.require_ready()
        return ended

    monkeypatch.setattr(Generator, "spawn", spawned)
    first, second = run_in_lab(tmp_path, play)
    assert first.state == "failed" and "TypeError: unexpected" in (first.failure or "")
    assert second.state == "finished" and second.summary


def test_no_descriptor_is_leaked_if_perf_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Child:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("app.machine.syscalls.shutil.which", lambda _: "/usr/bin/perf")
    monkeypatch.setattr(Child, "spawn", fail)
    before = pipes()
    with pytest.raises(OSError, match="unavailable"):
        run_in_thread(lambda: SystemCallCounter.attach([os.getpid()]))
    assert pipes() == before


def test_perf_is_ended_if_attaching_it_is_cancelled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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

    async def cancel_attach() -> None:
        attach = asyncio.create_task(SystemCallCounter.attach([os.getpid()]))
        await until_async(lambda: started, "perf has been started")
        attach.cancel()
        await asyncio.gather(attach, return_exceptions=True)
        assert attach.cancelled() and not started[0].alive

    before = pipes()
    run_in_thread(cancel_attach)
    assert pipes() == before
