"""Several engines and one load: they take over from each other on one port, or run beside each other.

The hand-overs here happen when the test says so, and not when a share of the time is over: how much of its share an
engine has left when it has started depends on the machine.

An engine that drains closes a connection that has been idle for 100 ms. A request that is sent at this moment is lost,
as HTTP allows, so with keep-alive each connection may lose one in each hand-over. With a connection for each request
none can be lost. That busy connections lose none is in tests/measure/app/test_relay.py.
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
from app.results.evidence import SAMPLES_MIN
from app.results.observation import Observation
from app.runs.hot_swap import HotSwap, phases
from app.runs.request import RunRequest
from app.schemas.run import RunView, Successor
from engines.catalogue import model_modules
from tests.app.driver import LabProcess, assert_problem, endless, light, run_in_lab, until_async

MODELS = [name for name, module in model_modules().items() if module.MODEL.why_unavailable() is None]
CONNECTIONS, REQUESTS = 16, 30


class HandOvers:
    """Decides when an engine takes over: at once, if the measured time has begun and so many are `allowed` to."""

    def __init__(self) -> None:
        self.allowed = 0
        self.asked = 0  # were told to take over, whether they could or not

    def is_due(self, relay: HotSwap, now: MeterReading, _duration_s: float) -> bool:
        self.asked = relay.asked
        return now.phase == MEASURE and relay.asked < min(self.allowed, len(relay))


@pytest.fixture
def hand_overs(monkeypatch: pytest.MonkeyPatch) -> HandOvers:
    control = HandOvers()
    monkeypatch.setattr(HotSwap, "is_due", lambda *args: control.is_due(*args))
    return control


async def submitted(lab: Lab, models: Sequence[str], **fields: Any) -> RunView:
    then = [{"model": each} for each in models[1:]]
    return await lab.runs.submit(
        RunRequest(model=models[0], then=then, plan=endless(vus=CONNECTIONS, **fields))
    )


async def serves(lab: Lab, model: str, requests: int = REQUESTS, alone_s: float = 0.0) -> None:
    """Wait until an engine of this model is the only one, has answered so many requests, and has been looked at for so
    long since then."""

    def alone() -> bool:
        alive = [engine for engine in lab.fleet.alive if engine.state != "starting"]
        if [engine.model.name for engine in alive] != [model]:
            return False
        board = alive[0].board
        return board is not None and board.read().requests >= requests

    def watched() -> bool:
        run = lab.runs.current()
        watcher = run and run._trial and run._trial._watcher
        if not watcher or watcher.engine.model.name != model or not watcher.alone_from_ns:
            return False
        return watcher.looks >= SAMPLES_MIN and watcher.now.at_ns - watcher.alone_from_ns > alone_s * 1e9

    await until_async(alone, f"{model} serves alone")
    if alone_s:
        await until_async(watched, f"{model} has been watched for {alone_s} s")


async def relay(
    lab: Lab, hand_overs: HandOvers, models: Sequence[str], alone_s: float = 0.0, **fields: Any
) -> RunView:
    """A run in which these models take over from each other, each after some requests; stopped after the last."""
    run = await submitted(lab, models, **fields)
    for number, model in enumerate(models):
        await serves(lab, model, alone_s=alone_s)
        if number < len(models) - 1:
            hand_overs.allowed = number + 1
    lab.runs.stop(run.id)
    return await lab.runs.finished(run.id)


def holds_together(run: RunView, models: Sequence[str], churn: bool) -> None:
    assert (run.state, run.failure) == ("stopped", None)
    assert run.summary and run.verdict
    lost = 0 if churn else CONNECTIONS * (len(models) - 1)
    assert set(run.summary.errors) <= {"closed", "reset"} and sum(run.summary.errors.values()) <= lost
    assert run.summary.requests >= (REQUESTS - 1) * len(models), "one of each engine was the lab's own"
    assert [leg.model for leg in run.legs] == list(models)
    evidence = run.verdict.evidence
    assert evidence["answered"] == evidence["counted"], "all of them together answered what was counted"
    assert [mark.text for mark in run.marks if "takes over" in mark.text] == [
        f"{after.engine} takes over, {before.engine} drains" for before, after in pairwise(run.legs)
    ]
    assert not run.verdict.rankable and "hot swap" in str(run.verdict.why_not)
    assert run.ledger is None, "what a request cost is known of each leg only"


KEPT = pytest.mark.parametrize("churn", [False, True], ids=["keep-alive", "churn"])


@KEPT
def test_engines_take_over_from_each_other_and_the_load_goes_on(
    tmp_path: Path, hand_overs: HandOvers, churn: bool
) -> None:
    models = ["reactor-pool", "blocking", "reactor"]
    holds_together(
        run_in_lab(tmp_path, lambda lab: relay(lab, hand_overs, models, churn=churn)), models, churn
    )


@pytest.mark.full
@KEPT
def test_every_model_can_take_the_port_over(tmp_path: Path, hand_overs: HandOvers, churn: bool) -> None:
    holds_together(
        run_in_lab(tmp_path, lambda lab: relay(lab, hand_overs, MODELS, churn=churn)), MODELS, churn
    )


@pytest.mark.full
def test_each_leg_has_figures_of_its_own(tmp_path: Path, hand_overs: HandOvers) -> None:
    """A leg's figures are of the whole seconds that its engine served alone: two seconds hold a whole one."""
    run = run_in_lab(tmp_path, lambda lab: relay(lab, hand_overs, ["reactor", "blocking"], alone_s=2.1))
    assert len(run.legs) == 2
    for leg in run.legs:
        assert leg.cpu_us and leg.cpu_us > 0
        assert leg.response.count == leg.requests > 0
    first, second = run.legs
    assert first.to_s and second.from_s and first.to_s <= second.from_s, "what both served is in neither"
    seen = {str(name).rpartition(" of ")[2] for name in run.verdict.evidence if name.startswith("occupied_")}  # type: ignore[union-attr]
    assert seen == {leg.engine for leg in run.legs}, "the evidence is of each of them"


def second(t: float, requests: int, phase: str = "measure", length_s: float = 1.0) -> Second:
    took = histogram.encode(histogram.from_counts([(1000 * requests, requests)]))
    return Second(t, length_s, phase, requests, requests, requests, 0, 0, took, took)


def test_a_leg_is_of_the_whole_seconds_that_its_engine_served_alone() -> None:
    seconds = [second(0, 1, "warmup"), *(second(t, t) for t in range(1, 7)), second(7, 7, length_s=0.4)]
    outcome = cast(Outcome, SimpleNamespace(seconds=seconds))

    def seen(name: str, begun_s: float, alone_from_s: float) -> Observation:
        begun_ns, alone_from_ns = int(begun_s * 1e9), int(alone_from_s * 1e9)
        return Observation(f"{name}-1", name, name.title(), begun_ns=begun_ns, alone_from_ns=alone_from_ns)

    first, next_, last = phases(
        [seen("a", 1, 1), seen("b", 13.4, 14.1), seen("c", 16.2, 16.9)], outcome, 10**10
    )
    assert (first.from_s, first.to_s, first.requests) == (1, 3, 1 + 2), "up to the start of the next one"
    assert (next_.from_s, next_.to_s, next_.requests) == (5, 6, 5), "since the end of the one before"
    assert (last.from_s, last.requests) == (7, 7) and last.to_s == pytest.approx(7.4)
    assert first.achieved_per_s == 1.5 and last.achieved_per_s == pytest.approx(7 / 0.4)
    assert [leg.response.max_us for leg in (next_, last)] == [
        pytest.approx(5000, rel=1e-3),
        pytest.approx(7000, rel=1e-3),
    ]
    assert phases([seen("a", 1, 1)], outcome, 10**10) == (), "one engine is no relay"


def test_the_measured_time_is_shared_out_equally() -> None:
    relay = HotSwap(cast(Fleet, None), [Successor("blocking", {}), Successor("reactor", {})])
    begun = MeterReading(phase=MEASURE, started_ns=10**9, measured_from_ns=2 * 10**9, at_ns=2 * 10**9)

    def due_at(seconds: float) -> bool:
        return relay.is_due(replace(begun, at_ns=begun.at_ns + int(seconds * 1e9)), 9.0)

    assert not relay.is_due(MeterReading(started_ns=1, at_ns=10**11), 9.0), "the warm-up is nobody's"
    assert (due_at(2.9), due_at(3.0)) == (False, True)
    relay.asked = 1
    assert (due_at(5.9), due_at(6.0)) == (False, True)
    relay.asked = 2
    assert not due_at(8.9), "there is nobody left"


def test_where_no_engine_can_take_over_that_is_marked_and_not_ranked(
    tmp_path: Path, hand_overs: HandOvers
) -> None:
    hand_overs.allowed = 1

    async def play(lab: Lab) -> RunView:
        run = await submitted(lab, ["reactor", "blocking"])
        await serves(lab, "reactor")
        await until_async(lambda: hand_overs.asked == 1, "one was asked to take over")
        lab.runs.stop(run.id)
        return await lab.runs.finished(run.id)

    run = run_in_lab(tmp_path, play, max_engines=1)
    assert run.summary and (run.state, run.legs, run.summary.errors) == ("stopped", (), {})
    assert [mark.text for mark in run.marks] == [
        "nobody took over: At most 1 engines run at once; stop one first."
    ]
    assert run.verdict and "hot swap" in str(run.verdict.why_not)


def test_a_relay_that_is_stopped_while_an_engine_takes_over_leaves_no_engine(
    tmp_path: Path, hand_overs: HandOvers
) -> None:
    hand_overs.allowed = 1

    async def play(lab: Lab) -> None:
        run = await submitted(lab, ["reactor", "blocking"])
        await until_async(lambda: len(lab.fleet.alive) == 2, "one takes over")
        lab.runs.stop(run.id)
        assert (await lab.runs.finished(run.id)).state == "stopped"
        assert lab.fleet.alive == []

    run_in_lab(tmp_path, play)


def test_a_relay_that_makes_no_sense_is_refused(lab: LabProcess) -> None:
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


def test_a_relay_is_submitted_by_http_and_keeps_its_followers(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", then=[{"model": "blocking", "knobs": {"idle_s": 9}}], plan=endless())
    assert [(each["model"], each["knobs"]["idle_s"]) for each in run["then"]] == [("blocking", 9)]
    assert lab.stop(run["id"])["then"] == run["then"]


def test_several_engines_are_loaded_at_once_and_none_is_ranked(lab: LabProcess) -> None:
    ids = [lab.start(name)["id"] for name in ("reactor", "blocking")]
    first = lab.submit(engines=ids, plan=light(0.5))
    runs = [lab.wait_ended(first["id"]), lab.wait_ended(first["beside"][0])]
    assert [run["engine"] for run in runs] == ids
    assert [run["beside"] for run in runs] == [[runs[1]["id"]], [runs[0]["id"]]]
    assert all(run["summary"]["requests"] == 50 for run in runs)
    assert not any(run["verdict"]["rankable"] for run in runs)
    assert set(runs[0]["verdict"]["fitness"].values()) == {"Other runs used the machine at the same time."}
    assert "Run again" not in lab.http.get(f"/runs/{first['id']}").text, "alone it would be another run"
    assert lab.http.post(f"/runs/{first['id']}/again").status_code == 409
    page = lab.http.get("/").text
    assert f'value="engines:{",".join(ids)}"' in page and "2 engines at once, not ranked" in page


def test_several_at_once_that_make_no_sense_are_refused(lab: LabProcess) -> None:
    one = lab.start("reactor")["id"]
    for engines in ([one], [one, one], [one, "x"]):
        answer = lab.post("/runs", {"engines": engines, "plan": light()})
        assert answer.status_code == (404 if "x" in engines else 422), answer.text
    assert_problem(
        lab.post("/runs", {"engines": [one, one], "model": "reactor", "plan": light()}), 422, "/engines"
    )
