"""An engine that can take no more connections says so, everywhere, and says when it can again."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.app.api.test_engines import require
from tests.app.driver import LabProcess, until
from tests.waiting import BOUND_S

FEW = 40  # descriptors


@contextlib.contextmanager
def connections(port: int, size: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=BOUND_S))
        yield


@pytest.mark.parametrize("model", ["blocking", "reactor", "main-sub"])
def test_out_of_descriptors_an_engine_is_degraded(lab: LabProcess, model: str) -> None:
    engine = lab.start(model, idle_s=600)
    resource.prlimit(engine["pid"], resource.RLIMIT_NOFILE, (FEW, FEW))
    with connections(engine["port"], 2 * FEW):
        says(lab, engine["id"], "degraded", "Out of descriptors")
    says(lab, engine["id"], "ready", "")


@pytest.mark.parametrize(("model", "knob"), [("blocking", "max_threads"), ("proactor", "max_connections")])
def test_at_its_limit_an_engine_is_degraded(lab: LabProcess, model: str, knob: str) -> None:
    require(lab, model)
    engine = lab.start(model, idle_s=600, **{knob: 3})
    with connections(engine["port"], 5):
        says(lab, engine["id"], "degraded", "limit of connections or threads")
    says(lab, engine["id"], "ready", "")


def says(lab: LabProcess, id: str, state: str, why: str) -> None:
    """The API says it, the card says it, and the metrics do."""
    model = lab.get(f"/engines/{id}")["model"]
    counted = f'threadlab_engines{{model="{model}",state="{state}"}} 1.0'

    def said() -> bool:  # at one time: while connections come and go, it is the one now and the other then
        view = lab.get(f"/engines/{id}")
        if view["state"] != state or why not in (view["detail"] or ""):
            return False
        return why in lab.http.get("/").text and counted in lab.http.get("/metrics").text

    until(said, f"it is {state}, everywhere", every_s=0.05)
