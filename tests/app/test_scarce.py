"""A lab that runs out of descriptors refuses in words, keeps nothing of what it tried, and goes on."""

from __future__ import annotations

import asyncio
import re
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import pytest

from app.errors import Busy
from app.lab import Lab
from app.live.hub import Hub
from app.main import create_app
from app.settings import Settings
from app.store.comparisons import ComparisonStore
from app.store.runs import RunStore
from app.web.authentication import Authenticator
from tests.app.driver import LabProcess, is_problem, known_models, on_a_thread, until
from tests.app.live.test_live import Viewer, descriptors, viewer
from tests.waiting import BOUND_S

MOST = 60  # a start takes about 20 descriptors, many of them for a moment only


def kinds(pid: int) -> Counter[str]:
    """How many sockets, pipes, pidfds … a process has open; not files: those of the history come and go."""
    names = (
        name for name in descriptors(pid).values() if not name.startswith("/") or name.startswith("/memfd:")
    )
    return Counter(re.sub(r"\[\d+\]", "", name) for name in names)


@contextmanager
def at_most(pid: int, number: int) -> Iterator[None]:
    """No new descriptor of that process is `number` or above."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def leaving(pid: int, spare: int) -> int:
    """The limit that leaves a process so many descriptors to open."""
    used = descriptors(pid).keys()
    free = (number for number in count() if number not in used)
    return next(islice(free, spare, None))


def goes_on(view: Viewer, seen: int) -> None:
    view.frame(lambda frame: frame["seq"] > seen, "the live view goes on")


def test_wherever_a_start_runs_out_of_descriptors_nothing_is_left_of_it(lab: LabProcess) -> None:
    refused = 0
    earlier = {engine["id"] for engine in lab.get("/engines")}
    with viewer(lab) as view:
        lab.get("/engines")  # the connection that is kept: a lab that is out of descriptors takes no new one
        before = kinds(lab.pid)
        for spare in range(MOST):
            seen = view.frame()["seq"]
            with at_most(lab.pid, leaving(lab.pid, spare)):
                answer = lab.post("/engines", {"model": "reactor"})
            if answer.status_code == 201:
                break
            assert answer.status_code in (502, 503), answer.text
            is_problem(answer, answer.status_code)
            refused += 1
            new = [engine for engine in lab.get("/engines") if engine["id"] not in earlier]
            assert all(engine["state"] == "failed" for engine in new)
            until(
                lambda: not kinds(lab.pid) - before and not lab.others(),
                "all is closed, and no process is left",
            )
            goes_on(view, seen)
        assert answer.status_code == 201 and refused > 10
        engine = answer.json()["id"]
        view.frame(lambda frame: engine in frame["engines"], "the engine that did start")
    assert lab.http.get("/readyz").status_code == 200


def test_a_lab_whose_live_view_has_ended_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: Hub) -> None:
        raise KeyError("reactor-1")

    async def ask() -> None:
        settings = Settings(data_dir=tmp_path)
        stores = RunStore(settings.database), ComparisonStore(settings.database)
        lab, told = Lab(settings, known_models(), *stores), asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: told.set())
        app = create_app(lab, Authenticator(""))
        async with app.router.lifespan_context(app):
            lab.require_ready()
            await asyncio.wait_for(told.wait(), BOUND_S)
            with pytest.raises(Busy, match="has ended"):
                lab.require_ready()

    monkeypatch.setattr(Hub, "run", run)
    on_a_thread(ask)
