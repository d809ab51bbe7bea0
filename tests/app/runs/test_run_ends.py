"""What happens at the moment a run ends, which each test holds open."""

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


class Held:
    """Replaces a method of the store: what it does, or has read, is held back until `let_go()`."""

    def __init__(self, method: Callable[..., Any], reads: bool) -> None:
        self._method, self._reads = method, reads
        self._reached, self._go = threading.Event(), threading.Event()

    def __call__(self, *args: Any) -> Any:
        read = self._method(*args) if self._reads else None
        self._reached.set()
        assert self._go.wait(BOUND_S)
        return read if self._reads else self._method(*args)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, BOUND_S)

    def let_go(self) -> None:
        self._go.set()


def test_a_label_given_while_it_is_saved_does_not_bring_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> None:
        held = Held(lab.store.save_ended, reads=False)
        monkeypatch.setattr(lab.store, "save_ended", held)
        run = await lab.runs.submit(RunRequest(model="reactor", plan=light(), label="before"))
        await held.reached()
        labelling = asyncio.create_task(lab.history.relabel(run.id, "given late"))
        await asyncio.sleep(0)  # let it begin
        held.let_go()
        told, ended = await labelling, await lab.runs.finished(run.id)
        kept = lab.store.get(run.id)
        for view in (told, ended, kept):
            assert view and (view.state, view.label) == ("finished", "given late") and view.summary

    run_in_lab(tmp_path, play)


async def _page(lab: Lab) -> list[RunView]:
    return (await lab.history.find(RunFilter(), 10)).runs


async def _newest(lab: Lab) -> list[RunView]:
    return await lab.runs.history(10)


@pytest.mark.parametrize(("method", "listed"), [("find", _page), ("newest", _newest)])
def test_a_list_that_was_read_before_it_ended_has_it_as_it_is_now(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    listed: Callable[[Lab], Awaitable[list[RunView]]],
) -> None:
    async def play(lab: Lab) -> None:
        run = await lab.runs.submit(RunRequest(model="reactor", plan=light()))
        held = Held(getattr(lab.store, method), reads=True)
        monkeypatch.setattr(lab.store, method, held)
        listing = asyncio.ensure_future(listed(lab))
        await held.reached()
        ended = await lab.runs.finished(run.id)
        held.let_go()
        assert await listing == [ended]

    run_in_lab(tmp_path, play)
