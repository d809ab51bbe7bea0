"""Requests that arrive while the end of a run is being saved; each test holds that moment open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.store.listing import RunFilter
from tests.app.driver import light, run_in_lab
from tests.waiting import BOUND_S


class BlockedMethod:
    """Replaces a method of the store: its write, or the return of what it read, blocks until `release()`."""

    def __init__(self, method: Callable[..., Any], reads: bool) -> None:
        self._method, self._reads = method, reads
        self._reached, self._released = threading.Event(), threading.Event()

    def __call__(self, *args: Any) -> Any:
        read = self._method(*args) if self._reads else None
        self._reached.set()
        assert self._released.wait(BOUND_S)
        return read if self._reads else self._method(*args)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, BOUND_S)

    def release(self) -> None:
        self._released.set()


def test_a_label_given_while_a_run_is_saved_does_not_reactivate_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> None:
        blocked = BlockedMethod(lab.store.save_ended, reads=False)
        monkeypatch.setattr(lab.store, "save_ended", blocked)
        run = await lab.runs.submit(RunRequest(model="reactor", plan=light(), label="before"))
        await blocked.reached()
        labelling = asyncio.create_task(lab.history.annotate(run.id, {"label": "set late"}))
        await asyncio.sleep(0)  # let the task start
        blocked.release()
        labelled, ended = await labelling, await lab.runs.finished(run.id)
        stored = lab.store.get(run.id)
        for view in (labelled, ended, stored):
            assert view and (view.state, view.label) == ("finished", "set late") and view.summary

    run_in_lab(tmp_path, play)


async def _page(lab: Lab) -> list[RunView]:
    return (await lab.history.find(RunFilter(), 10)).runs


async def _newest(lab: Lab) -> list[RunView]:
    return await lab.runs.history(10)


@pytest.mark.parametrize(("method", "listed"), [("find", _page), ("newest", _newest)])
def test_a_list_read_before_a_run_ended_shows_the_ended_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    listed: Callable[[Lab], Awaitable[list[RunView]]],
) -> None:
    async def play(lab: Lab) -> None:
        run = await lab.runs.submit(RunRequest(model="reactor", plan=light()))
        blocked = BlockedMethod(getattr(lab.store, method), reads=True)
        monkeypatch.setattr(lab.store, method, blocked)
        listing = asyncio.ensure_future(listed(lab))
        await blocked.reached()
        ended = await lab.runs.finished(run.id)
        blocked.release()
        assert await listing == [ended]

    run_in_lab(tmp_path, play)
