"""An engine that cannot accept connections is degraded in the API, on the page and in the metrics."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.app.api.test_engines import require
from tests.app.driver import LabProcess, until
from tests.waiting import BOUND_S

DESCRIPTORS = 40


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[None]:
    """Hold open connections to a port."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=BOUND_S))
        yield


@pytest.mark.parametrize("model", ["blocking", "reactor", "main-sub"])
def test_an_engine_out_of_descriptors_is_degraded(lab: LabProcess, model: str) -> None:
    engine = lab.start(model, idle_s=600)
    resource.prlimit(engine["pid"], resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with connections(engine["port"], 2 * DESCRIPTORS):
        wait_for_state(lab, engine["id"], "degraded", "Out of file descriptors")
    wait_for_state(lab, engine["id"], "ready", "")


@pytest.mark.parametrize(("model", "knob"), [("blocking", "max_threads"), ("proactor", "max_connections")])
def test_an_engine_at_its_connection_limit_is_degraded(lab: LabProcess, model: str, knob: str) -> None:
    require(lab, model)
    engine = lab.start(model, idle_s=600, **{knob: 3})
    with connections(engine["port"], 5):
        wait_for_state(lab, engine["id"], "degraded", "Connection or thread limit reached")
    wait_for_state(lab, engine["id"], "ready", "")


def wait_for_state(lab: LabProcess, id: str, state: str, detail: str) -> None:
    """Wait until the API, the engine's card and the metrics show this state and detail."""
    model = lab.get(f"/engines/{id}")["model"]
    metric = f'threadlab_engines{{model="{model}",state="{state}"}} 1.0'

    def is_shown() -> bool:
        view = lab.get(f"/engines/{id}")
        if view["state"] != state or detail not in (view["detail"] or ""):
            return False
        return detail in lab.http.get("/workbench").text and metric in lab.http.get("/metrics").text

    until(is_shown, f"the engine is shown as {state}", every_s=0.05)
