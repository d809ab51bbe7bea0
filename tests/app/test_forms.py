"""What a person types into a form: read as it is meant, or refused beside its field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.lab.scenarios import SCENARIOS
from app.load.plan import Plan
from app.pages.forms import order, parse_work, problems, typed_knobs
from app.pages.looks import plan_fields, work_text

PARAMETER = {"plaintext": None, "echo": "n", "cpu": "us", "hash": "us", "sleep": "ms", "bytes": "n"}
WORK = st.sampled_from(sorted(PARAMETER)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "kind": st.just(kind),
            "weight": st.integers(1, 10_000),
            "params": st.fixed_dictionaries({name: st.integers(0, 1_000_000)} if (name := PARAMETER[kind]) else {}),
        }
    )
)


def shares(work: list[dict[str, Any]]) -> list[tuple[str, dict[str, int], float]]:
    total = sum(each["weight"] for each in work)
    return [(each["kind"], dict(each["params"]), each["weight"] / total) for each in work]


@given(st.lists(WORK, min_size=1, max_size=8))
def test_a_work_mix_is_read_as_it_is_written(work: list[dict[str, Any]]) -> None:
    again = shares(parse_work(work_text(work)))
    for (kind, params, share), (kind_again, params_again, share_again) in zip(shares(work), again, strict=True):
        assert (kind, params) == (kind_again, params_again)
        assert share == pytest.approx(share_again)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100% plaintext", [("plaintext", {}, 1.0)]),
        ("92% plaintext, 8% sleep 40ms", [("plaintext", {}, 0.92), ("sleep", {"ms": 40}, 0.08)]),
        ("1 sleep 2s", [("sleep", {"ms": 2000}, 1.0)]),
        ("1% hash 3ms", [("hash", {"us": 3000}, 1.0)]),
        ("1% cpu 500", [("cpu", {"us": 500}, 1.0)]),
        ("1% sleep 40", [("sleep", {"ms": 40}, 1.0)]),
        ("3% bytes 1000b,1% echo 5", [("bytes", {"n": 1000}, 0.75), ("echo", {"n": 5}, 0.25)]),
    ],
)
def test_work_has_units(text: str, expected: list[tuple[str, dict[str, int], float]]) -> None:
    for found, wanted in zip(shares(parse_work(text)), expected, strict=True):
        assert found[:2] == wanted[:2]
        assert found[2] == pytest.approx(wanted[2])


@pytest.mark.parametrize(
    "text",
    ["nonsense here", "50%", "5% sleep", "5% plaintext 4ms", "5% sleep 4 hours", "-5% plaintext", "5% sleep -4ms", ",",
     "50% plaintext,,", "5% sleep 500us", "5% cpu 800b", "5% bytes 300ms", "5% SLEEP 4ms", "5.5.5% plaintext"],
)  # fmt: skip
def test_what_is_not_work_is_refused_and_never_bent(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_work(text)
    assert refused.value.problems[0].pointer == "/plan/work"


@given(st.text(max_size=60))
def test_whatever_is_typed_as_work_is_read_or_refused(text: str) -> None:
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
    read = Plan.from_json(order(form)["plan"])
    expected = Plan.from_json(plan)
    for one, other in zip(read.work, expected.work, strict=True):
        assert one.label == other.label
        assert one.weight * sum(w.weight for w in expected.work) == other.weight * sum(w.weight for w in read.work)
    assert read.to_json() | {"work": 0} == expected.to_json() | {"work": 0}


def test_a_chosen_scenario_wins_over_the_fields() -> None:
    asked = order({"engine": "reactor-1", "scenario": "sprint", "vus": "nonsense"})
    assert (asked["engine"], asked["model"], asked["scenario"], asked["plan"]) == ("reactor-1", None, "sprint", {})


def test_a_fresh_engine_is_a_model() -> None:
    asked = order({"engine": "model:main-sub", "label": "  a note  "})
    assert (asked["engine"], asked["model"], asked["label"]) == (None, "main-sub", "a note")


def test_numbers_may_be_grouped_and_fields_left_empty() -> None:
    plan = order({"engine": "x", "vus": "1,000", "rate_per_s": "10 000", "duration_s": "2.5", "warmup_s": ""})["plan"]
    assert plan == {"vus": 1000, "rate_per_s": 10000.0, "duration_s": 2.5}


@pytest.mark.parametrize(
    ("field", "text"), [("vus", "2.5"), ("vus", "many"), ("duration_s", "long"), ("warmup_s", "1s")]
)
def test_what_is_no_number_is_said_at_its_field(field: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        order({"engine": "x", field: text})
    assert problems(refused.value, refused.value.detail).keys() == {field}
    assert text in refused.value.detail


def test_thresholds_are_one_a_line() -> None:
    typed = "p(99) < 20ms\r\n\r\n  errors<1%  \n"
    assert order({"engine": "x", "thresholds": typed})["thresholds"] == ["p(99) < 20ms", "errors<1%"]


def test_problems_stand_at_their_fields() -> None:
    error = Invalid("x", ())
    assert problems(error, "A sentence.") == {"": "A sentence."}
    for pointer, field in (
        ("/plan/vus", "vus"), ("/plan/work/0/params/ms", "work"), ("/thresholds/1", "thresholds"),
        ("/engine", "engine"), ("/knobs/idle_s", ""),
    ):  # fmt: skip
        assert problems(Invalid.field(pointer, "Wrong.")) == {field: "Wrong."}


def test_knobs_are_told_from_other_fields() -> None:
    assert typed_knobs({"model": "reactor", "knob_idle_s": " 5 ", "knobs": "x"}) == {"idle_s": "5"}
