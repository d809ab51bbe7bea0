"""Hot swaps (engines that serve one port in turn) and concurrent runs (several engines under the same load).

These tests trigger each swap themselves instead of by time: how long an engine serves alone after its start
depends on the machine.

A draining engine closes a connection that has been idle for 100 ms. A request that is sent at that moment is
lost, as HTTP allows, so with keep-alive each connection may lose one request per swap. With a connection per
request none is lost. tests/measure/app/test_hot_swap.py checks that busy connections lose none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.fleet.fleet import Fleet
from app.lab import Lab
from app.load.protocol import histogram
from app.load.protocol.meter import MEASURE, MeterReading
from app.load.protocol.outcome import Outcome, Second
from app.results.limits import SAMPLES_MIN
from app.results.observation import Observation
from app.runs.hot_swap import HotSwap, phases
from app.runs.request import RunRequest
from app.schemas.run import RunView, Successor
from engines.catalogue import model_modules
from tests.app.driver import LabProcess, assert_problem, endless, light, run_in_lab, until_async

MODELS = [name for name, module in model_modules().items() if module.MODEL.why_unavailable() is None]
CONNECTIONS, REQUESTS = 16, 30


class SwapControl:
    """Triggers swaps: at once in the measured time, until `allowed` successors were requested."""

    def __init__(self) -> None:
        self.allowed = 0
        self.requested = 0

    def is_due(self, hot_swap: HotSwap, now: MeterReading, _duration_s: float) -> bool:
        self.requested = hot_swap.requested
        return now.phase == MEASURE and hot_swap.requested < min(self.allowed, len(hot_swap))


@pytest.fixture
def swaps(monkeypatch: pytest.MonkeyPatch) -> SwapControl:
    control = SwapControl()
    monkeypatch.setattr(HotSwap, "is_due", lambda *args: control.is_due(*args))
    return control


async def submit(lab: Lab, models: Sequence[str], **fields: Any) -> RunView:
    then = [{"model": each} for each in models[1:]]
    return await lab.runs.submit(
        RunRequest(model=models[0], then=then, plan=endless(vus=CONNECTIONS, **fields))
    )


async def wait_serving(lab: Lab, model: str, requests: int = REQUESTS, alone_s: float = 0.0) -> None:
    """Wait until an engine of this model is the only one, has responded to `requests` requests, and has been
    observed for `alone_s` seconds since then.
    """

    def alone() -> bool:
        alive = [engine for engine in lab.fleet.alive if engine.state != "starting"]
        if [engine.name for engine in alive] != [model]:
            return False
        board = alive[0].metrics_board
        return board is not None and board.read().requests >= requests

    def observed() -> bool:
        run = lab.runs.current()
        watcher = run and run._trial and run._trial._watcher
        if not watcher or watcher.engine.name != model or not watcher.alone_from_ns:
            return False
        return (
            watcher.window.count >= SAMPLES_MIN
            and watcher.latest.at_ns - watcher.alone_from_ns > alone_s * 1e9
        )

    await until_async(alone, f"{model} serves alone")
    if alone_s:
        await until_async(observed, f"{model} has been observed for {alone_s} s")


async def run_hot_swap(
    lab: Lab, swaps: SwapControl, models: Sequence[str], alone_s: float = 0.0, **fields: Any
) -> RunView:
    """Return a run in which these models serve in turn, each for some requests; stopped after the last."""
    run = await submit(lab, models, **fields)
    for number, model in enumerate(models):
        await wait_serving(lab, model, alone_s=alone_s)
        if number < len(models) - 1:
            swaps.allowed = number + 1
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def assert_consistent(run: RunView, models: Sequence[str], churn: bool) -> None:
    assert (run.state, run.failure) == ("stopped", None)
    assert run.summary and run.verdict
    lost = 0 if churn else CONNECTIONS * (len(models) - 1)
    assert set(run.summary.errors) <= {"closed", "reset"} and sum(run.summary.errors.values()) <= lost
    assert run.summary.requests >= (REQUESTS - 1) * len(models), (
        "one request of each engine is the health check"
    )
    assert [phase.model for phase in run.legs] == list(models)
    evidence = run.verdict.evidence
    assert evidence["answered"] == evidence["counted"], "the engines count as many requests as the client"
    assert [mark.text for mark in run.marks if "takes over" in mark.text] == [
        f"{after.engine} takes over, {before.engine} drains" for before, after in pairwise(run.legs)
    ]
    assert not run.verdict.rankable and "hot swap" in str(run.verdict.why_not)
    assert run.ledger is None, "the cost per request is known per phase only"


KEEP_ALIVE = pytest.mark.parametrize("churn", [False, True], ids=["keep-alive", "churn"])


@KEEP_ALIVE
def test_engines_take_over_from_each_other_while_the_load_continues(
    tmp_path: Path, swaps: SwapControl, churn: bool
) -> None:
    models = ["reactor-pool", "blocking", "reactor"]
    assert_consistent(
        run_in_lab(tmp_path, lambda lab: run_hot_swap(lab, swaps, models, churn=churn)), models, churn
    )


@pytest.mark.full
@KEEP_ALIVE
def test_every_model_can_take_the_port_over(tmp_path: Path, swaps: SwapControl, churn: bool) -> None:
    assert_consistent(
        run_in_lab(tmp_path, lambda lab: run_hot_swap(lab, swaps, MODELS, churn=churn)), MODELS, churn
    )


@pytest.mark.full
def test_each_phase_has_its_own_figures(tmp_path: Path, swaps: SwapControl) -> None:
    """A phase covers the whole seconds in which its engine served alone; 2.1 s contain at least one."""
    run = run_in_lab(tmp_path, lambda lab: run_hot_swap(lab, swaps, ["reactor", "blocking"], alone_s=2.1))
    assert len(run.legs) == 2
    for phase in run.legs:
        assert phase.cpu_us and phase.cpu_us > 0
        assert phase.requests and phase.response.count == phase.requests
    first, second = run.legs
    assert first.to_s and second.from_s and first.to_s <= second.from_s, "overlap seconds belong to no phase"
    seen = {str(name).rpartition(" of ")[2] for name in run.verdict.evidence if name.startswith("occupied_")}  # type: ignore[union-attr]
    assert seen == {phase.engine for phase in run.legs}, "there is evidence for each engine"


def second(t: float, requests: int, phase: str = "measure", length_s: float = 1.0) -> Second:
    times = histogram.encode(histogram.from_counts([(1000 * requests, requests)]))
    return Second(t, length_s, phase, requests, requests, requests, 0, 0, times, times)


def test_a_phase_covers_the_whole_seconds_in_which_its_engine_served_alone() -> None:
    seconds = [second(0, 1, "warmup"), *(second(t, t) for t in range(1, 7)), second(7, 7, length_s=0.4)]
    outcome = cast(Outcome, SimpleNamespace(seconds=seconds))

    def observed(name: str, begun_s: float, alone_from_s: float) -> Observation:
        begun_ns, alone_from_ns = int(begun_s * 1e9), int(alone_from_s * 1e9)
        return Observation(f"{name}-1", name, name.title(), begun_ns=begun_ns, alone_from_ns=alone_from_ns)

    first, second_, last = phases(
        [observed("a", 1, 1), observed("b", 13.4, 14.1), observed("c", 16.2, 16.9)], outcome, 10**10
    )
    assert (first.from_s, first.to_s, first.requests) == (1, 3, 1 + 2), "until the successor started"
    assert (second_.from_s, second_.to_s, second_.requests) == (5, 6, 5), "after the previous engine ended"
    assert (last.from_s, last.requests) == (7, 7) and last.to_s == pytest.approx(7.4)
    assert first.achieved_per_s == 1.5 and last.achieved_per_s == pytest.approx(7 / 0.4)
    assert [phase.response.max_us for phase in (second_, last)] == [
        pytest.approx(5000, rel=1e-3),
        pytest.approx(7000, rel=1e-3),
    ]
    assert phases([observed("a", 1, 1)], outcome, 10**10) == (), "one engine is no hot swap"
    short, _ = phases([observed("a", 1, 1), observed("b", 11.4, 11.5)], outcome, 10**10)
    assert (short.from_s, short.requests, short.errors) == (None, None, None), "unknown, and not 0"


def test_each_engine_has_an_equal_share_of_the_measured_time() -> None:
    hot_swap = HotSwap(cast(Fleet, None), [Successor("blocking", {}), Successor("reactor", {})])
    begun = MeterReading(phase=MEASURE, started_ns=10**9, measured_from_ns=2 * 10**9, at_ns=2 * 10**9)

    def due_at(seconds: float) -> bool:
        return hot_swap.is_due(replace(begun, at_ns=begun.at_ns + int(seconds * 1e9)), 9.0)

    assert not hot_swap.is_due(MeterReading(started_ns=1, at_ns=10**11), 9.0), "no swap during the warm-up"
    assert (due_at(2.9), due_at(3.0)) == (False, True)
    hot_swap.requested = 1
    assert (due_at(5.9), due_at(6.0)) == (False, True)
    hot_swap.requested = 2
    assert not due_at(8.9), "no successor is left"


def test_a_failed_hot_swap_is_on_the_timeline_and_the_run_is_not_ranked(
    tmp_path: Path, swaps: SwapControl
) -> None:
    swaps.allowed = 1

    async def play(lab: Lab) -> RunView:
        run = await submit(lab, ["reactor", "blocking"])
        await wait_serving(lab, "reactor")
        await until_async(lambda: swaps.requested == 1, "a successor was requested")
        lab.runs.stop(run.id)
        return await lab.runs.finished(run.id)

    run = run_in_lab(tmp_path, play, max_engines=1)
    assert run.summary and (run.state, run.legs, run.summary.errors) == ("stopped", (), {})
    assert [mark.text for mark in run.marks] == [
        "hot swap failed: At most 1 engines run at once; stop one first."
    ]
    assert run.verdict and "hot swap" in str(run.verdict.why_not)


def test_stopping_a_run_during_a_hot_swap_leaves_no_engine(tmp_path: Path, swaps: SwapControl) -> None:
    swaps.allowed = 1

    async def play(lab: Lab) -> None:
        run = await submit(lab, ["reactor", "blocking"])
        await until_async(lambda: len(lab.fleet.alive) == 2, "the successor starts")
        lab.runs.stop(run.id)
        assert (await lab.runs.finished(run.id)).state == "stopped"
        assert lab.fleet.alive == []

    run_in_lab(tmp_path, play)


def test_an_invalid_hot_swap_is_refused(lab: LabProcess) -> None:
    engine, then = lab.start("reactor")["id"], [{"model": "blocking"}]
    assert_problem(lab.post("/runs", {"engine": engine, "then": then, "plan": light()}), 422, "/then")
    assert_problem(
        lab.post("/runs", {"model": "reactor", "then": then, "plan": light(stall_ms=100)}), 422, "/then"
    )
    page = lab.http.post(
        "/runs", data={"engine": "model:reactor", "then": "blocking, x", "scenario": "sprint"}
    )
    assert page.status_code == 422 and "There is no model" in page.text
    assert_problem(lab.post("/runs", {"model": "reactor", "then": [{"model": "x"}], "plan": light()}), 404)


def test_a_hot_swap_submitted_by_http_keeps_its_successors(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", then=[{"model": "blocking", "knobs": {"idle_s": 9}}], plan=endless())
    assert [(each["model"], each["knobs"]["idle_s"]) for each in run["then"]] == [("blocking", 9)]
    assert lab.stop(run["id"])["then"] == run["then"]


def test_concurrent_runs_are_not_ranked(lab: LabProcess) -> None:
    ids = [lab.start(name)["id"] for name in ("reactor", "blocking")]
    first = lab.submit(engines=ids, plan=light(0.5))
    runs = [lab.wait_ended(first["id"]), lab.wait_ended(first["beside"][0])]
    assert [run["engine"] for run in runs] == ids
    assert [run["beside"] for run in runs] == [[runs[1]["id"]], [runs[0]["id"]]]
    assert all(run["summary"]["requests"] == 50 for run in runs)
    assert not any(run["verdict"]["rankable"] for run in runs)
    assert set(runs[0]["verdict"]["fitness"].values()) == {"Other runs used the machine at the same time."}
    assert "Run again" not in lab.http.get(f"/runs/{first['id']}").text, (
        "a single run cannot repeat concurrent ones"
    )
    assert lab.http.post(f"/runs/{first['id']}/again").status_code == 409
    page = lab.http.get("/workbench").text
    assert f'value="engines:{",".join(ids)}"' in page
    assert "All 2 running engines in parallel (live view only)" in page


def test_invalid_concurrent_runs_are_refused(lab: LabProcess) -> None:
    id = lab.start("reactor")["id"]
    for engines in ([id], [id, id], [id, "x"]):
        answer = lab.post("/runs", {"engines": engines, "plan": light()})
        assert answer.status_code == (404 if "x" in engines else 422), answer.text
    assert_problem(
        lab.post("/runs", {"engines": [id, id], "model": "reactor", "plan": light()}), 422, "/engines"
    )
