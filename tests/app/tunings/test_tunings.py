"""Tunings in a lab: rounds of random order, each run a capacity search; stop, kill, delete and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.errors import LabError
from app.lab import Lab
from app.load.protocol.plan import Plan
from app.rounds.schedule import RoundSchedule
from app.runs.capacity import Limits
from app.runs.trial import TrialResult
from app.schemas.capacity import Capacity
from app.schemas.tuning import TuningView
from app.tunings.request import TuningRequest
from app.tunings.result import compute_result
from tests.app.driver import LabMaker, LabProcess, assert_problem, run_in_lab, until

ALWAYS, NEVER = "max<600s", "min<1us"
MAX_RATE = 50.0
TINY = {"duration_s": 0.5, "warmup_s": 0, "vus": 4, "rate_per_s": MAX_RATE, "timeout_s": 60}
KNOB: dict[str, Any] = {"model": "reactor-pool", "knob": "workers", "values": [1, 2]}
ROUNDS, SEED = 2, 7


@dataclass
class InstantSearch:
    """A capacity search that offers one short trial and takes its rate for the capacity."""

    plan: Plan
    limits: Limits
    run_trial: Callable[[Plan], Awaitable[TrialResult | None]]
    on_step: Callable[[Capacity], None]
    best: TrialResult | None = None
    progress = 0.5
    estimated_total_s = 1.0

    async def run(self) -> None:
        start = self.plan.rate_per_s
        offered = {"executor": "constant-arrival-rate", "objective": None, "rate_per_s": (start or 10) + 10}
        self.best = await self.run_trial(Plan.from_json({**self.plan.to_json(), **offered}))

    @property
    def capacity(self) -> Capacity:
        rate = (self.plan.rate_per_s or 10) + 10
        return Capacity(str(self.plan.objective), rate, 1.05 * rate, None, ())


def request(**changes: Any) -> TuningRequest:
    asked = {**KNOB, "objective": ALWAYS, "plan": TINY, "rounds": ROUNDS, "seed": SEED}
    return TuningRequest(**{**asked, **changes})


def tuned(tmp_path: Path, asked: TuningRequest, **settings: Any) -> tuple[TuningView, list[Any]]:
    """Return a finished tuning with its runs."""

    async def play(lab: Lab) -> tuple[TuningView, list[Any]]:
        new = await lab.tunings.submit(asked)
        view = await lab.tunings.finished(new.id)
        return view, [lab.runs.get(trial.run) for trial in view.runs]

    return run_in_lab(tmp_path, play, **settings)


def test_each_round_searches_each_value_once_in_random_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.run.CapacitySearch", InstantSearch)
    view, runs = tuned(tmp_path, request(label="a note", knobs={"queue": 64}))
    assert (view.state, view.progress, view.failure, view.label) == ("finished", 1.0, None, "a note")
    assert (view.values, view.knobs, view.unit, view.runs_total) == ((1, 2), {"queue": 64}, "threads", 4)
    schedule = RoundSchedule([(0,), (1,)], lambda _: ROUNDS, SEED)
    for number in range(1, ROUNDS + 1):
        order = schedule.next_order()
        assert tuple(trial.value for trial in view.runs if trial.round == number) == order
        schedule.record(order or (), [(), ()])
    assert len({run.engine for run in runs}) == len(runs), "a new engine for each"
    last: dict[int, float] = {}
    for trial, run in zip(view.runs, runs, strict=True):
        assert (run.tuning, run.model, run.plan["executor"]) == (view.id, "reactor-pool", "find-capacity")
        assert (run.knobs["workers"], run.knobs["queue"]) == (view.values[trial.value], 64)
        assert run.plan["objective"] == ALWAYS
        assert run.label == f"tuning 1: workers {trial.value + 1}, round {trial.round} of 2"
        assert run.plan["rate_per_s"] == last.get(trial.value, MAX_RATE), "it begins at the last result"
        if trial.rate_per_s is not None:
            assert trial.rate_per_s == run.capacity.kept_per_s
            last[trial.value] = trial.rate_per_s
    assert view.result == compute_result(view, (1, 256), runs[0].knobs)


@pytest.mark.full
def test_a_search_that_ends_at_the_highest_allowed_rate_is_void(tmp_path: Path) -> None:
    """The objective always holds, so that a search ends after two trials at the highest rate."""
    view, runs = tuned(tmp_path, request(rounds=1), max_rate=MAX_RATE)
    assert [run.capacity.objective for run in runs] == [ALWAYS] * 2
    assert view.state == "finished" and view.result
    assert [(each.n, each.trials) for each in view.result.values] == [(0, 1)] * 2
    for trial in view.runs:
        assert trial.rate_per_s is None and trial.why_not
    assert view.result.answer is None
    assert view.result.sentences[0] == "No answer: no value has a valid run."


def test_an_objective_that_no_rate_keeps_is_the_answer_of_each_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.capacity.TRIAL_MAX_S", 2.0)  # so that the lowest rate is the highest one
    view, runs = tuned(tmp_path, request(objective=NEVER, rounds=1), max_rate=MAX_RATE)
    for trial, run in zip(view.runs, runs, strict=True):
        assert run.capacity.kept_per_s is None
        assert (trial.rate_per_s == 0.0) == (trial.why_not is None)
    assert view.result and view.result.answer is None


def test_the_state_can_be_followed_and_a_stopped_tuning_keeps_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.run.CapacitySearch", InstantSearch)

    async def play(lab: Lab) -> tuple[TuningView, TuningView, TuningView]:
        ended = asyncio.Event()
        lab.events.subscribe(lambda event: ended.set() if event.text.endswith("ended") else None)
        running = await lab.tunings.submit(request(rounds=9))
        waiting = await lab.tunings.submit(request())
        assert waiting.state == "queued" and waiting.left_s
        await ended.wait()
        now = lab.tunings.get(running.id)
        last = await lab.tunings.stop(waiting.id)
        await lab.tunings.stop(running.id)
        with pytest.raises(LabError):
            await lab.tunings.stop(waiting.id)
        return now, await lab.tunings.finished(running.id), last

    now, stopped, last = run_in_lab(tmp_path, play)
    assert now.state == "running" and 0 < now.progress < 1 and now.left_s
    assert stopped.state == "stopped" and 1 <= len(stopped.runs) < 18 and stopped.result
    assert (last.state, last.runs, last.result) == ("stopped", (), None)


def test_a_bug_fails_the_tuning_and_not_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.run.CapacitySearch", InstantSearch)
    broken = iter([True])

    def fail_once(*args: Any) -> Any:
        if next(broken, False):
            raise TypeError("unexpected")
        return compute_result(*args)

    async def play(lab: Lab) -> list[TuningView]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        new = [await lab.tunings.submit(request(rounds=1)) for _ in range(2)]
        return [await lab.tunings.finished(each.id) for each in new]

    monkeypatch.setattr("app.tunings.value_runs.compute_result", fail_once)
    first, second = run_in_lab(tmp_path, play)
    assert first.state == "failed" and "TypeError: unexpected" in (first.failure or "")
    assert second.state == "finished" and second.result


def submit(lab: LabProcess, **spec: Any) -> Any:
    answer = lab.post("/tunings", {**KNOB, "objective": ALWAYS, "plan": TINY, **spec})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/tunings/{answer.json()['id']}"
    return answer.json()


def test_a_killed_lab_keeps_the_runs_of_its_tuning(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab("--max-rate", str(MAX_RATE), data_dir=tmp_path)
    id = submit(lab, rounds=9)["id"]
    before = until(lambda: view if (view := lab.get(f"/tunings/{id}"))["runs"] else None, "a run has ended")
    lab.kill()
    until(lambda: not lab.child_pids(), "all child processes have ended")

    async def after_restart(restarted: Lab) -> TuningView:
        view = restarted.tunings.get(id)
        await restarted.tunings.delete(id, with_runs=True)
        assert not any(restarted.runs.exists(trial.run) for trial in view.runs)
        return view

    view = run_in_lab(tmp_path, after_restart)
    assert (view.state, view.current) == ("failed", None) and view.finished_at and view.result
    assert "control plane stopped" in (view.failure or "")
    kept = [trial.run for trial in view.runs]
    assert kept[: len(before["runs"])] == [trial["run"] for trial in before["runs"]]


def test_tunings_are_listed_stopped_and_deleted(lab: LabProcess) -> None:
    first = submit(lab, seed=SEED)
    second = submit(lab, **{"values": [], "from": 1, "to": 32})
    assert (first["seed"], first["rounds"], first["values"]) == (SEED, 3, [1, 2])
    assert second["values"] == [1, 2, 4, 8, 16, 32]
    assert [each["id"] for each in lab.get("/tunings?limit=2")] == [second["id"], first["id"]]
    assert_problem(lab.http.delete(f"/api/v1/tunings/{first['id']}"), 409)
    for each in (second, first):
        assert lab.post(f"/tunings/{each['id']}/stop").status_code == 200
        assert lab.wait_tuned(each["id"])["state"] == "stopped"
    assert_problem(lab.post(f"/tunings/{first['id']}/stop"), 409)
    runs = [trial["run"] for trial in lab.get(f"/tunings/{first['id']}")["runs"]]
    assert lab.http.delete(f"/api/v1/tunings/{first['id']}").status_code == 204
    assert_problem(lab.http.get(f"/api/v1/tunings/{first['id']}"), 404)
    assert all(lab.get(f"/runs/{run}") for run in runs), "its runs stay"
    names = {event["event"] for event in lab.get("/events") if event["tuning"] == first["id"]}
    assert {"tuning.queued", "tuning.stopped"} <= names


def test_a_knob_with_choices_has_all_of_them_without_values(lab: LabProcess) -> None:
    choices = {"knob": "reply", "values": []}
    view = submit(lab, **choices)
    assert view["values"] == ["worker", "reactor"] and view["unit"] == ""
    lab.post(f"/tunings/{view['id']}/stop")
    assert submit(lab, knob="reply", values=["reactor", "worker"])["values"] == ["reactor", "worker"]


@pytest.mark.parametrize(
    ("spec", "pointers"),
    [
        ({"model": "nope"}, ["/model"]),
        ({"server": "gunicorn"}, ["/model"]),
        ({"knob": "nope"}, ["/knob"]),
        ({"knob": "queue", "knobs": {"queue": 3}}, ["/knobs/queue"]),
        ({"knobs": {"queue": 0}}, ["/knobs/queue"]),
        ({"knobs": {"nope": 1}}, ["/knobs/nope"]),
        ({"values": [1]}, ["/values"]),
        ({"values": []}, ["/values"]),
        ({"values": list(range(1, 10))}, ["/values"]),
        ({"values": [1, 1]}, ["/values/1"]),
        ({"values": [0, 1, "x"]}, ["/values/0", "/values/2"]),
        ({"from": 1, "to": 4}, ["/values"]),
        ({"values": [], "from": 1}, ["/to"]),
        ({"values": [], "to": 4}, ["/from"]),
        ({"values": [], "from": 4, "to": 4}, ["/to"]),
        ({"values": [], "from": 0, "to": 4}, ["/from"]),
        ({"values": [], "from": 1, "to": 257}, ["/to"]),
        ({"knob": "reply", "values": [], "from": 1, "to": 4}, ["/values"]),
        ({"knob": "reply", "values": ["worker", "nope"]}, ["/values/1"]),
        ({"objective": "errors<1%"}, ["/objective"]),
        ({"objective": "p99"}, ["/objective"]),
        ({"objective": ""}, ["/objective"]),
        ({"rounds": 0}, ["/rounds"]),
        ({"rounds": 10}, ["/rounds"]),
        ({"seed": -1}, ["/seed"]),
        ({"scenario": "nope"}, ["/scenario"]),
        ({"plan": {"executor": "constant-vus"}}, ["/plan/executor"]),
        ({"plan": {"objective": "p(50)<1s"}}, ["/plan/objective"]),
        ({"plan": {"duration_s": 0}}, ["/plan/duration_s"]),
        ({"model": "blocking", "knob": "max_connections", "values": [1, 4]}, ["/plan/vus"]),
        ({"unknown": 1}, ["/unknown"]),
    ],
)
def test_an_invalid_tuning_is_refused_with_its_fields(
    lab: LabProcess, spec: dict[str, Any], pointers: list[str]
) -> None:
    before = [each["id"] for each in lab.get("/tunings")]
    plan = {**TINY, "vus": 8}
    assert_problem(lab.post("/tunings", {**KNOB, "objective": ALWAYS, "plan": plan, **spec}), 422, *pointers)
    assert [each["id"] for each in lab.get("/tunings")] == before, "nothing is queued"


def test_an_unknown_tuning_or_server_is_not_found(lab: LabProcess) -> None:
    assert_problem(lab.http.get("/api/v1/tunings/99999"), 404)
    body = {"server": "nope", "knob": "threads", "values": [1, 2], "objective": ALWAYS}
    assert_problem(lab.post("/tunings", body), 404)
