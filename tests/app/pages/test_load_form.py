"""The load form as a plain form: refused beside its fields, and filled from a run that was."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.pages import load_form
from app.plans.fields import FIELDS
from tests.app.driver import LabProcess, endless, light

FORM = {"engine": "model:reactor", "scenario": "", "vus": "4", "duration_s": "0.5", "warmup_s": "0"}


def problem_of(html: str, name: str) -> str:
    found = re.search(rf'<small class="problem" id="f-{name}-problem">([^<]+)</small>', html)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"executor": "ramping-vus"}, "stages"),
        ({"executor": "ramping-vus", "stages": "soon to 5"}, "stages"),
        ({"executor": "ramping-vus", "stages": "1s to 5, 0s to 5"}, "stages"),
        ({"executor": "find-capacity"}, "objective"),
        ({"executor": "constant-arrival-rate", "rate_per_s": "50", "think_time_ms": "5"}, "think_time_ms"),
        ({"pipeline": "4", "churn": "on"}, "pipeline"),
        ({"shards": "999"}, "shards"),
        ({"stall_ms": "450"}, "stall_ms"),
        ({"slow_readers": "-1"}, "slow_readers"),
        ({"timeout_s": "soon"}, "timeout_s"),
        ({"thresholds": "p(99) is good"}, "thresholds"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_problem_is_reported_at_its_field(lab: LabProcess, typed: dict[str, str], field: str) -> None:
    answer = lab.http.post("/runs", data=FORM | typed)
    assert answer.status_code == 422
    assert len(problem_of(answer.text, field).split()) > 2
    for name, value in typed.items():
        assert value == "on" or value in answer.text.replace("&lt;", "<"), f"{name} is lost"


def test_the_form_has_every_field_in_the_order_of_the_field_table(lab: LabProcess) -> None:
    page = lab.http.get("/workbench").text
    form = page[page.index('id="load-form"') :]
    form = form[: form.index("</form>")]
    names = re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', form)
    simple, advanced = ([each.name for each in FIELDS if each.is_advanced is kind] for kind in (False, True))
    assert [name for name in names if name in load_form.PLAN_FIELDS] == simple + advanced
    assert set(load_form.OTHER_FIELDS) <= set(names)


def submitted(lab: LabProcess, form: dict[str, str]) -> Any:
    answer = lab.http.post("/runs", data=form)
    assert answer.status_code == 303, problem_of(answer.text, "stages") or answer.text[-3000:]
    return lab.wait_ended(int(answer.headers["location"].rpartition("/")[2]))


def test_a_ramp_from_the_form_is_run_and_repeated_with_the_same_knobs(lab: LabProcess) -> None:
    first = lab.run(
        model="reactor-pool", knobs={"workers": 3}, plan=light(), thresholds=["errors<1%"], label="the first"
    )
    page = lab.http.get(f"/workbench?again={first['id']}").text
    assert (
        f'name="again" value="{first["id"]}"' in page
        and 'value="the first"' in page
        and "errors&lt;1%" in page
    )
    assert '<option value="model:reactor-pool" selected>' in page

    ramp = {
        "again": str(first["id"]),
        "engine": "model:reactor-pool",
        "scenario": "",
        "executor": "ramping-vus",
        "vus": "2",
        "stages": "300ms to 4, 0.3s to 1",
        "warmup_s": "0",
        "think_time_ms": "20",
        "timeout_s": "60",
        "trace": "on",
        "label": "the second",
    }
    second = submitted(lab, ramp)
    assert second["plan"]["stages"] == [{"duration_s": 0.3, "target": 4}, {"duration_s": 0.3, "target": 1}]
    assert (second["state"], second["plan"]["trace"], second["knobs"]["workers"]) == ("finished", True, 3)
    assert second["verdict"]["rankable"] is False, "a traced run is never ranked"

    answer = lab.http.post(f"/runs/{first['id']}/again")
    third = lab.wait_ended(int(answer.headers["location"].rpartition("/")[2]))
    same = ("model", "knobs", "plan", "label", "scenario", "title")
    assert {name: third[name] for name in same} == {name: first[name] for name in same}
    assert [each["text"] for each in third["thresholds"]] == ["errors<1%"]
    assert (
        "None: model, plan, knobs, placement and environment are the same."
        in lab.http.get(f"/runs/diff?a={first['id']}&b={third['id']}").text
    )


def test_a_restart_with_a_longer_keep_alive_ends_no_run_and_starts_no_invalid_one(
    lab: LabProcess,
) -> None:
    engine = lab.start("reactor", idle_s=9)
    crowd = FORM | {"engine": engine["id"], "duration_s": "9", "idle_connections": "5", "restart": "60"}
    refused = lab.http.post("/runs", data=crowd | {"stall_ms": "-1"})
    assert refused.status_code == 422 and problem_of(refused.text, "stall_ms")
    after = lab.get(f"/engines/{engine['id']}")
    assert (after["pid"], after["state"]) == (engine["pid"], "ready"), "it was not restarted"

    run = lab.submit(engine=engine["id"], plan=endless())
    lab.wait_measuring(run["id"])
    refused = lab.http.post("/runs", data=crowd)
    assert refused.status_code == 422 and f"Run {run['id']} uses {engine['id']}" in refused.text
    assert lab.get(f"/engines/{engine['id']}")["state"] == "ready"
    assert lab.stop(run["id"])["state"] == "stopped", "it was not ended with its engine"


def test_a_hot_swap_is_repeated_with_its_models_and_knobs(lab: LabProcess) -> None:
    then = [{"model": "reactor-pool", "knobs": {"workers": 3}}, {"model": "blocking"}]
    first = lab.submit(model="reactor", then=then, plan=endless())
    lab.post(f"/runs/{first['id']}/stop")
    assert [each["model"] for each in first["then"]] == ["reactor-pool", "blocking"]
    assert first["then"][0]["knobs"]["workers"] == 3
    assert lab.wait_ended(first["id"])["then"] == first["then"]
    page = lab.http.get(f"/workbench?again={first['id']}").text
    assert re.search(r'name="then"[^>]*value="reactor-pool, blocking"', page)
    changed = FORM | {"again": str(first["id"]), "then": "reactor-pool, reactor"}
    for path, form, models in (
        (f"/runs/{first['id']}/again", {}, ["reactor-pool", "blocking"]),
        ("/runs", changed, ["reactor-pool", "reactor"]),
    ):
        again = lab.http.post(path, data=form).headers["location"].rpartition("/")[2]
        lab.post(f"/runs/{again}/stop")
        then = lab.get(f"/runs/{again}")["then"]
        assert [each["model"] for each in then] == models and then[0] == first["then"][0]


def test_repeating_a_missing_run_is_not_found(lab: LabProcess) -> None:
    assert lab.http.get("/workbench?again=99999").status_code == 404
    assert lab.http.post("/runs/99999/again").status_code == 404
    assert lab.http.post("/runs", data=FORM | {"again": "99999", "vus": "0"}).status_code == 422
