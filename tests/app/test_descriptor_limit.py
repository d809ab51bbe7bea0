"""A lab without free file descriptors refuses to start engines, leaves nothing behind, and continues."""

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
from app.store.experiments import ExperimentStore
from app.store.runs import RunStore
from app.store.tunings import TuningStore
from app.web.authentication import Authenticator
from tests.app.driver import LabProcess, assert_problem, load_launchables_once, run_in_thread, until
from tests.app.live.test_live import Viewer, descriptors, viewer
from tests.waiting import BOUND_S

SPARE_MAX = 60  # a start needs about 20 descriptors, many of them for a short time


def descriptor_kinds(pid: int) -> Counter[str]:
    """Return how many sockets, pipes, pidfds … a process has open. Files of the history are not counted."""
    names = (
        name for name in descriptors(pid).values() if not name.startswith("/") or name.startswith("/memfd:")
    )
    return Counter(re.sub(r"\[\d+\]", "", name) for name in names)


@contextmanager
def descriptor_limit(pid: int, number: int) -> Iterator[None]:
    """Limit the descriptors of a process in a `with` block: new ones are below `number`."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def limit_for(pid: int, spare: int) -> int:
    """Return the limit at which a process can open `spare` more descriptors."""
    used = descriptors(pid).keys()
    free = (number for number in count() if number not in used)
    return next(islice(free, spare, None))


def wait_frame_after(view: Viewer, seq: int) -> None:
    """Wait for a frame after number `seq`."""
    view.frame(lambda frame: frame["seq"] > seq, "the live view continues")


def test_a_start_that_runs_out_of_descriptors_leaves_nothing_behind(lab: LabProcess) -> None:
    refused = 0
    earlier = {engine["id"] for engine in lab.get("/engines")}
    with viewer(lab) as view:
        lab.get("/engines")  # opens the connection: without descriptors the lab accepts no new one
        before = descriptor_kinds(lab.pid)
        for spare in range(SPARE_MAX):
            seq = view.frame()["seq"]
            with descriptor_limit(lab.pid, limit_for(lab.pid, spare)):
                answer = lab.post("/engines", {"model": "reactor"})
            if answer.status_code == 201:
                break
            assert answer.status_code in (502, 503), answer.text
            assert_problem(answer, answer.status_code)
            refused += 1
            new = [engine for engine in lab.get("/engines") if engine["id"] not in earlier]
            assert all(engine["state"] == "failed" for engine in new)
            until(
                lambda: not descriptor_kinds(lab.pid) - before and not lab.child_pids(),
                "all descriptors are closed, and all processes have ended",
            )
            wait_frame_after(view, seq)
        assert answer.status_code == 201 and refused > 10
        engine = answer.json()["id"]
        view.frame(lambda frame: engine in frame["engines"], "the started engine")
    assert lab.http.get("/readyz").status_code == 200


def test_a_lab_whose_live_view_has_failed_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: Hub) -> None:
        raise KeyError("reactor-1")

    async def fail_live_view() -> None:
        settings = Settings(data_dir=tmp_path)
        database = settings.database
        stores = ComparisonStore(database), ExperimentStore(database), TuningStore(database)
        lab = Lab(settings, load_launchables_once(), RunStore(database), *stores)
        reported = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: reported.set())
        app = create_app(lab, Authenticator(""))
        async with app.router.lifespan_context(app):
            lab.require_ready()
            await asyncio.wait_for(reported.wait(), BOUND_S)
            with pytest.raises(Busy, match="has ended"):
                lab.require_ready()

    monkeypatch.setattr(Hub, "run", run)
    run_in_thread(fail_live_view)
