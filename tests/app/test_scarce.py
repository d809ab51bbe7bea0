"""A lab that runs out of descriptors refuses in words, keeps nothing of what it tried, and goes on."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import Busy
from app.lab.lab import Lab
from app.live.hub import Hub
from app.main import create_app
from app.settings import Settings
from app.tokens import Tokens

from .driver import LabProcess, is_problem, until
from .test_live import Viewer, viewer

MOST = 60  # a start takes about 20 descriptors, many of them for a moment only


def descriptors(pid: int) -> list[int]:
    return sorted(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())


@contextmanager
def at_most(pid: int, number: int) -> Iterator[None]:
    """No new descriptor of that process is `number` or above."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def goes_on(view: Viewer, seen: int) -> None:
    view.frame(lambda frame: frame["seq"] > seen, "the live view goes on")


def test_wherever_a_start_runs_out_of_descriptors_nothing_is_left_of_it(lab: LabProcess) -> None:
    refused = 0
    with viewer(lab) as view:
        lab.get("/engines")  # the connection that is kept: a lab that is out of descriptors takes no new one
        before = descriptors(lab.pid)
        for spare in range(MOST):
            seen = view.frame()["seq"]
            with at_most(lab.pid, max(before) + 1 + spare):
                answer = lab.post("/engines", {"model": "reactor"})
            if answer.status_code == 201:
                break
            assert answer.status_code in (502, 503), answer.text
            is_problem(answer, answer.status_code)
            refused += 1
            assert all(engine["state"] == "failed" for engine in lab.get("/engines"))
            until(lambda: descriptors(lab.pid) == before and not lab.others(), "all is closed, and no process is left")
            goes_on(view, seen)
        assert answer.status_code == 201 and refused > 10
        engine = answer.json()["id"]
        view.frame(lambda frame: engine in frame["engines"], "the engine that did start")
    assert lab.http.get("/readyz").status_code == 200


def test_a_lab_whose_live_view_has_ended_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Hub) -> None:
        raise KeyError("reactor-1")

    async def ask() -> None:
        lab, told = Lab.open(Settings(data_dir=tmp_path)), asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: told.set())
        app = create_app(lab, Tokens(""))
        async with app.router.lifespan_context(app):
            lab.require_ready()
            await asyncio.wait_for(told.wait(), 10)
            with pytest.raises(Busy, match="has ended"):
                lab.require_ready()

    monkeypatch.setattr(Hub, "run", run)
    asyncio.run(ask())
