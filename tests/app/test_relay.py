"""Several engines and one load: they take over from each other on one port, or go beside each other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engines.catalogue import lessons

from .driver import LabMaker, LabProcess, is_problem, plan, until

pytestmark = pytest.mark.alone  # a leg is what is left of its share when its engine has started

RATE = 300
LOAD = plan(3.0, executor="constant-arrival-rate", rate_per_s=RATE, vus=16)
MODELS = [name for name, lesson in lessons().items() if lesson.MODEL.why_unavailable() is None]


def relay(lab: LabProcess, first: str, *then: str, **fields: Any) -> Any:
    submitted = lab.submit(model=first, then=[{"model": each} for each in then], plan={**LOAD, **fields})
    return lab.ended(submitted["id"], 60)


@pytest.mark.parametrize("churn", [False, True], ids=["keep-alive", "churn"])
def test_engines_take_over_from_each_other_and_no_request_is_lost(lab: LabProcess, churn: bool) -> None:
    run = relay(lab, "reactor-pool", "blocking", "reactor", churn=churn)
    assert run["state"] == "finished", run["failure"]
    assert run["summary"]["errors"] == {}
    assert run["summary"]["requests"] == RATE * LOAD["duration_s"]
    assert [leg["model"] for leg in run["legs"]] == ["reactor-pool", "blocking", "reactor"]
    evidence = run["verdict"]["evidence"]
    assert evidence["answered"] == evidence["counted"], "all of them together answered what was counted"
    assert [mark["text"] for mark in run["marks"]].count("warm-up ends") == 1
    seen = {name.rpartition(" of ")[2] for name in evidence if name.startswith("occupied_")}
    assert seen == {leg["engine"] for leg in run["legs"]}, "the evidence is of each of them"


def test_each_leg_has_figures_of_its_own(lab: LabProcess) -> None:
    legs = relay(lab, "reactor", "blocking", duration_s=5.0)["legs"]
    assert all(leg["cpu_us"] > 0 and leg["response"]["count"] == leg["requests"] > 0 for leg in legs)
    assert all(before["to_s"] <= after["from_s"] for before, after in pairwise(legs)), "what both served is in neither"


def test_every_model_can_take_the_port_over(lab: LabProcess) -> None:
    run = relay(lab, MODELS[0], *MODELS[1:], duration_s=6.0)
    assert run["summary"]["errors"] == {}
    assert [leg["model"] for leg in run["legs"]] == MODELS


def test_a_relay_is_shown_and_not_ranked(lab: LabProcess) -> None:
    run = relay(lab, "reactor", "main-sub", duration_s=2.0)
    assert not run["verdict"]["rankable"]
    assert "It was a relay" in " ".join(run["verdict"]["because"])
    assert run["ledger"] is None, "what a request cost is known of each leg only"
    assert any("takes over" in mark["text"] for mark in run["marks"])
    assert all(engine["exit"] for engine in lab.get("/engines")), "those that were started for it are gone"


def test_where_nobody_can_take_over_it_is_said_and_not_ranked(make_lab: LabMaker) -> None:
    lab = make_lab("--max-engines", "1")
    run = relay(lab, "reactor", "blocking", duration_s=1.0)
    assert (run["state"], run["legs"], run["summary"]["errors"]) == ("finished", [], {})
    assert any("nobody took over" in mark["text"] for mark in run["marks"])
    assert not run["verdict"]["rankable"]


def test_stopped_while_it_goes_it_leaves_no_engine(lab: LabProcess) -> None:
    run = lab.submit(model="reactor", then=[{"model": "blocking"}], plan={**LOAD, "duration_s": 4.0})
    until(lambda: [e for e in lab.get("/engines") if e["model"] == "blocking" and not e["exit"]], "one takes over")
    lab.post(f"/runs/{run['id']}/stop")
    assert lab.ended(run["id"])["state"] == "stopped"
    assert all(engine["exit"] for engine in lab.get("/engines"))


def test_a_relay_that_makes_no_sense_is_refused(lab: LabProcess) -> None:
    engine, then = lab.start("reactor")["id"], [{"model": "blocking"}]
    is_problem(lab.post("/runs", {"engine": engine, "then": then, "plan": LOAD}), 422, "/then")
    is_problem(lab.post("/runs", {"model": "reactor", "then": then, "plan": {**LOAD, "stall_ms": 100}}), 422, "/then")
    page = lab.http.post("/runs", data={"engine": "model:reactor", "then": "blocking, x", "scenario": "sprint"})
    assert page.status_code == 422 and "There is no model" in page.text
    is_problem(lab.post("/runs", {"model": "reactor", "then": [{"model": "x"}], "plan": LOAD}), 404)


def test_several_engines_are_loaded_at_once_and_none_is_ranked(lab: LabProcess) -> None:
    ids = [lab.start(name)["id"] for name in ("reactor", "blocking")]
    first = lab.submit(engines=ids, plan={**LOAD, "duration_s": 2.0})
    runs = [lab.ended(first["id"]), lab.ended(first["beside"][0])]
    assert [run["engine"] for run in runs] == ids
    assert [run["beside"] for run in runs] == [[runs[1]["id"]], [runs[0]["id"]]]
    assert all(run["summary"]["requests"] == RATE * 2 for run in runs)
    assert not any(run["verdict"]["rankable"] for run in runs)
    assert "shared the machine" in " ".join(runs[0]["verdict"]["because"])
    assert "Run again" not in lab.http.get(f"/runs/{first['id']}").text, "alone it would be another one"
    assert lab.http.post(f"/runs/{first['id']}/again").status_code == 409
    page = lab.http.get("/").text
    assert f'value="engines:{",".join(ids)}"' in page and "2 engines at once, not ranked" in page


def test_several_at_once_that_make_no_sense_are_refused(lab: LabProcess) -> None:
    one = lab.start("reactor")["id"]
    for engines in ([one], [one, one], [one, "x"]):
        answer = lab.post("/runs", {"engines": engines, "plan": LOAD})
        assert answer.status_code == (404 if "x" in engines else 422), answer.text
    is_problem(lab.post("/runs", {"engines": [one, one], "model": "reactor", "plan": LOAD}), 422, "/engines")
