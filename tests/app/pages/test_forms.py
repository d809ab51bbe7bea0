"""What a person types into a form: read as it is meant, or refused beside its field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.load.protocol.plan import LoadGroup, Plan, Stage, Work
from app.pages import load_form
from app.pages.cards import typed_knobs
from app.pages.load_form import problems, run_request
from app.plans.scenarios import SCENARIOS
from app.plans.text import parse_groups, parse_stages, parse_work, plan_fields, work_text
from app.plans.validate_http import METHODS
from tests.app.stored_runs import stored_run

PARAMETER = {"plaintext": None, "echo": "n", "cpu": "us", "hash": "us", "sleep": "ms", "bytes": "n"}
OWN_WORK = st.sampled_from(sorted(PARAMETER)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "kind": st.just(kind),
            "weight": st.integers(1, 10_000),
            "params": st.fixed_dictionaries(
                {name: st.integers(0, 1_000_000)} if (name := PARAMETER[kind]) else {}
            ),
        }
    )
)

HTTP_WORK = st.fixed_dictionaries(
    {
        "kind": st.just("http"),
        "weight": st.integers(1, 10_000),
        "params": st.fixed_dictionaries(
            {
                "method": st.sampled_from(METHODS),
                "path": st.from_regex(r"/[!-~]{0,20}", fullmatch=True).filter(
                    lambda text: not set(text) & set(",;#")
                ),
            }
        ),
    }
)
WORK = OWN_WORK | HTTP_WORK


def shares(work: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], float]]:
    total = sum(each["weight"] for each in work)
    return [(each["kind"], dict(each["params"]), each["weight"] / total) for each in work]


@given(st.lists(WORK, min_size=1, max_size=8))
def test_a_request_mix_is_parsed_as_it_is_formatted(work: list[dict[str, Any]]) -> None:
    again = shares(parse_work(work_text(work)))
    for (kind, params, share), (kind_again, params_again, share_again) in zip(
        shares(work), again, strict=True
    ):
        assert (kind, params) == (kind_again, params_again)
        assert share == pytest.approx(share_again)


LACKS: dict[str, dict[str, Any]] = {
    "1 header": {"path": "/a", "headers": {"X": "y"}},
    "2 headers, body": {"path": "/a", "method": "POST", "headers": {"X": "y", "Z": ""}, "body": "b"},
    "status 302": {"path": "/a", "status": 302},
    "separator in path": {"path": "/a,50%plaintext"},
}


@pytest.mark.parametrize("lacks", LACKS)
def test_an_http_request_without_a_complete_text_form_shows_what_it_lacks_and_is_refused(lacks: str) -> None:
    work = Work("http", params=LACKS[lacks])
    texts = plan_fields(
        Plan(work=(work, Work("plaintext")), groups=(LoadGroup("g", work=(work,)),)).to_json()
    )
    for name, parse in (("work", parse_work), ("groups", parse_groups)):
        assert f"{work.params['path']} (+{lacks})" in texts[name]
        with pytest.raises(Invalid, match="have no text form: give them by the API") as refused:
            parse(texts[name])
        assert refused.value.problems[0].pointer == f"/plan/{name}"


def test_a_comma_in_a_path_is_refused_with_what_to_write() -> None:
    with pytest.raises(Invalid, match="A comma in a path is written %2C"):
        parse_work("http /a,b")


GROUP = st.builds(
    LoadGroup,
    name=st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True),
    vus=st.integers(1, 16_000),
    rate_per_s=st.none() | st.integers(10, 10**6).map(lambda tenths: tenths / 10),
    churn=st.booleans(),
    think_time_ms=st.integers(0, 600).map(lambda tenths: tenths / 10),
    work=st.lists(WORK, min_size=1, max_size=8).map(
        lambda work: tuple(Work(**each) for each in parse_work(work_text(work)))
    ),
)


@given(st.lists(GROUP, max_size=4))
def test_load_groups_are_parsed_as_they_are_formatted(groups: list[LoadGroup]) -> None:
    text = plan_fields(Plan(groups=tuple(groups)).to_json()).get("groups", "")
    assert [LoadGroup.from_json(each) for each in parse_groups(text)] == groups
    lines = text.replace("; ", "\n  ").replace(",", "  ,")
    assert [LoadGroup.from_json(each) for each in parse_groups(lines)] == groups


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8 connections", "is not a load group. Example: new: 8 connections, 200 req/s, churn"),
        ("new 8, connections: 3", "is not a load group"),
        ("new: 8 connections, 9 connections", "more than one value like"),
        ("new: eight connections", "is not a request kind"),
        ("new: 50% plaintext, sleep 5ms", "has no share"),
        ("new: -8 connections", "is not a request kind"),
        ("new: 1e3 req/s", "is not a request kind"),
    ],
)
def test_a_load_group_that_cannot_be_parsed_is_refused_at_its_field(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_groups(text)
    assert [each.pointer for each in refused.value.problems] == ["/plan/groups"]
    assert words in refused.value.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100% plaintext", [("plaintext", {}, 1.0)]),
        ("plaintext", [("plaintext", {}, 1.0)]),
        (" sleep 40ms", [("sleep", {"ms": 40}, 1.0)]),
        ("92% plaintext, 8% sleep 40ms", [("plaintext", {}, 0.92), ("sleep", {"ms": 40}, 0.08)]),
        ("1 sleep 2s", [("sleep", {"ms": 2000}, 1.0)]),
        ("1% hash 3ms", [("hash", {"us": 3000}, 1.0)]),
        ("1% cpu 500", [("cpu", {"us": 500}, 1.0)]),
        ("1% sleep 40", [("sleep", {"ms": 40}, 1.0)]),
        ("http /items", [("http", {"method": "GET", "path": "/items"}, 1.0)]),
        (
            "70% http GET /items?a=b,30 http POST /items",
            [
                ("http", {"method": "GET", "path": "/items?a=b"}, 0.7),
                ("http", {"method": "POST", "path": "/items"}, 0.3),
            ],
        ),
        ("3% bytes 1000b,1% echo 5", [("bytes", {"n": 1000}, 0.75), ("echo", {"n": 5}, 0.25)]),
    ],
)
def test_work_has_units(text: str, expected: list[tuple[str, dict[str, Any], float]]) -> None:
    for found, wanted in zip(shares(parse_work(text)), expected, strict=True):
        assert found[:2] == wanted[:2]
        assert found[2] == pytest.approx(wanted[2])


@pytest.mark.parametrize(
    "text",
    [
        "nonsense here",
        "50%",
        "5% sleep",
        "sleep",
        "plaintext, 5% sleep 4ms",
        "5% sleep 4ms, plaintext",
        "5% plaintext 4ms",
        "5% sleep 4 hours",
        "-5% plaintext",
        "5% sleep -4ms",
        ",",
        "50% plaintext,,",
        "5% sleep 500us",
        "5% cpu 800b",
        "5% bytes 300ms",
        "5% SLEEP 4ms",
        "5.5.5% plaintext",
        "http",
        "http GET",
        "http 5",
        "http get /a",
        "http GET /a b",
        "HTTP /a",
    ],
)
def test_an_invalid_request_mix_is_rejected(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_work(text)
    assert refused.value.problems[0].pointer == "/plan/work"


@given(st.text(max_size=60))
def test_any_text_as_request_mix_is_parsed_or_rejected(text: str) -> None:
    try:
        mix = parse_work(text)
    except Invalid as refused:
        assert "92% plaintext" in refused.detail
    else:
        assert all(set(each) == {"kind", "weight", "params"} for each in mix)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_in_the_forms_fields_is_the_scenario(name: str) -> None:
    plan = SCENARIOS[name].plan
    form = {**plan_fields(plan), "engine": "model:reactor", "scenario": ""}
    read = Plan.from_json(run_request(form).plan)
    expected = Plan.from_json(plan)
    for one, other in zip(read.work, expected.work, strict=True):
        assert one.label == other.label
        assert one.weight * sum(w.weight for w in expected.work) == other.weight * sum(
            w.weight for w in read.work
        )
    assert read.to_json() | {"work": 0} == expected.to_json() | {"work": 0}


def test_a_chosen_scenario_wins_over_the_fields() -> None:
    asked = run_request({"engine": "reactor-1", "scenario": "sprint", "vus": "nonsense"})
    assert (asked.engine, asked.model, asked.scenario, asked.plan) == (
        "reactor-1",
        None,
        "sprint",
        {},
    )


def test_a_scenario_is_traced_if_selected() -> None:
    assert run_request({"engine": "reactor-1", "scenario": "sprint", "trace": "on", "churn": "on"}).plan == {
        "trace": True
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s to 2000, 20s to 5000", [(10, 2000), (20, 5000)]),
        ("10s to 2,000, 20s to 5,000", [(10, 2000), (20, 5000)]),
        ("10 to 2,000,5 to 0", [(10, 2000), (5, 0)]),
        ("500ms:64; 2m : 128\n1.5 min to 7.5", [(0.5, 64), (120, 128), (90, 7.5)]),
        (" 3s to 1,", [(3, 1)]),
    ],
)
def test_stages_are_parsed(text: str, expected: list[tuple[float, float]]) -> None:
    assert [(each["duration_s"], each["target"]) for each in parse_stages(text)] == expected


@pytest.mark.parametrize(
    "text",
    ["", "10s", "to 5", "10s 2000", "10h to 5", "10s to", "10s to 5 to 6", "-1s to 5", "10s to -5", "a to b"],
)
def test_an_invalid_stage_is_rejected(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_stages(text)
    assert refused.value.problems[0].pointer == "/plan/stages" and "10s to 2000" in refused.value.detail


LENGTHS, TARGETS = (
    st.integers(1, 10**6).map(lambda ms: ms / 1000),
    st.integers(0, 10**6).map(lambda n: n / 10),
)


@given(st.lists(st.builds(Stage, LENGTHS, TARGETS), min_size=1, max_size=6))
def test_stages_are_parsed_as_they_are_formatted(stages: list[Stage]) -> None:
    text = plan_fields(Plan(executor="ramping-arrival-rate", stages=tuple(stages)).to_json())["stages"]
    assert [Stage(**each) for each in parse_stages(text)] == stages


EVERYTHING = Plan(
    executor="ramping-vus",
    vus=12,
    stages=(Stage(1.5, 8), Stage(2, 2000)),
    duration_s=3.5,
    warmup_s=0.5,
    work=(Work("plaintext", 3), Work("sleep", 1, {"ms": 4})),
    churn=True,
    idle_connections=7,
    slow_readers=2,
    slow_writers=3,
    stall_ms=400,
    think_time_ms=0.5,
    timeout_s=2.5,
    shards=1,
    placement="shared",
    trace=True,
)


@pytest.mark.parametrize(
    "plan",
    [
        EVERYTHING,
        Plan(executor="find-capacity", rate_per_s=123_456.75, objective="p(99)<20ms"),
        Plan(executor="constant-arrival-rate", rate_per_s=50, spacing="poisson", pipeline=4),
    ],
    ids=lambda plan: plan.executor,
)
def test_every_field_of_a_plan_goes_through_the_form(plan: Plan) -> None:
    form = {**plan_fields(plan.to_json()), "engine": "model:reactor", "scenario": ""}
    read = Plan.from_json(run_request(form).plan)
    scaled = [Work(w.kind, 1, w.params) for w in read.work] == [Work(w.kind, 1, w.params) for w in plan.work]
    assert scaled and read.to_json() | {"work": 0} == plan.to_json() | {"work": 0}


def test_every_field_of_a_plan_is_a_field_of_the_form() -> None:
    assert {each.name for each in fields(Plan)} <= load_form.FIELD_NAMES


def test_the_target_can_be_a_new_engine_of_a_model() -> None:
    asked = run_request({"engine": "model:main-sub", "label": "  a note  "})
    assert (asked.engine, asked.model, asked.label) == (None, "main-sub", "a note")


def test_numbers_may_be_grouped_and_fields_left_empty() -> None:
    plan = run_request(
        {"engine": "x", "vus": "1,000", "rate_per_s": "10 000", "duration_s": "2.5", "warmup_s": ""}
    ).plan
    assert plan == {"vus": 1000, "rate_per_s": 10000.0, "duration_s": 2.5}


@pytest.mark.parametrize(
    ("field", "text"), [("vus", "2.5"), ("vus", "many"), ("duration_s", "long"), ("warmup_s", "1s")]
)
def test_an_invalid_number_is_reported_at_its_field(field: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        run_request({"engine": "x", field: text})
    assert problems(refused.value, refused.value.detail).keys() == {field}
    assert text in refused.value.detail


def test_a_repeated_run_keeps_a_label_unless_it_was_generated() -> None:
    assert load_form.label_of(stored_run(label="mine")) == "mine"
    assert load_form.label_of(stored_run(label="comparison 3: A, trial 1 of 2", comparison=3)) is None
    assert load_form.label_of(stored_run(label="mine", comparison=3)) == "mine"


def test_thresholds_are_one_per_line() -> None:
    typed = "p(99) < 20ms\r\n\r\n  errors<1%  \n"
    assert run_request({"engine": "x", "thresholds": typed}).thresholds == ["p(99) < 20ms", "errors<1%"]


def test_problems_are_assigned_to_their_fields() -> None:
    error = Invalid("x", ())
    assert problems(error, "A sentence.") == {"": "A sentence."}
    for pointer, field in (
        ("/plan/vus", "vus"),
        ("/plan/work/0/params/ms", "work"),
        ("/thresholds/1", "thresholds"),
        ("/engine", "engine"),
        ("/knobs/idle_s", ""),
    ):
        assert problems(Invalid.field(pointer, "Wrong.")) == {field: "Wrong."}


def test_knobs_are_separated_from_other_fields() -> None:
    assert typed_knobs({"model": "reactor", "knob_idle_s": " 5 ", "knobs": "x"}) == {"idle_s": "5"}
