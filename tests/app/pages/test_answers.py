"""Answers as pages show them: the figure that stands for an answer, and its place on the axis."""

from __future__ import annotations

from dataclasses import replace

from app.experiments.reference import reference
from app.pages import answers
from app.pages.answers import answer_words, deciding, figures, interval
from app.schemas.experiment import TestResult as Result
from app.schemas.states import Answer

RATIO = Result(
    "Throughput", "cell", "a", "b", "achieved_per_s", Answer.HOLDS, "It is.", 2.0, 1.1, (2.0, 4.0, 8.0), 4.0
)


def test_equal_and_margin_have_the_same_places_whatever_the_margin() -> None:
    places = [interval(replace(RATIO, margin=margin, ratios=(margin,))) for margin in (1.1, 1.3, 2.0)]
    assert len({(each.equal, each.edges, each.zone) for each in places}) == 1
    assert all(each.middle == each.edges[0] and each.zone[1] == answers.AXIS_WIDTH for each in places)


def test_ratios_beyond_the_axis_are_at_its_end() -> None:
    shown = interval(replace(RATIO, ratios=(0.0001, 9999.0)))
    assert (shown.low, shown.high) == (0, answers.AXIS_WIDTH)


def test_an_equivalence_claim_predicts_the_middle() -> None:
    shown = interval(replace(RATIO, margin=None, ratios=(1.0,)))
    assert shown.zone[0] < shown.middle == shown.equal < shown.zone[1] and shown.band is None
    assert len(shown.edges) == 2


def test_a_margin_below_one_predicts_all_above_it() -> None:
    shown = interval(replace(RATIO, margin=1 / 1.1, ratios=(1.0,)))
    assert shown.zone[0] == shown.edges[0] < shown.equal < shown.zone[1]


def test_the_test_with_the_same_answer_decides() -> None:
    view = reference().experiments["mainsub-scales"]
    result = deciding(view)
    assert result and result.answer is view.answer is Answer.DOES_NOT_HOLD


def test_a_headline_decides_if_its_answer_is_the_same() -> None:
    view = reference().experiments["blocking-thread-per-connection"]
    result = deciding(view, headline=2)
    assert result and figures(result) == ("1,001", "predicted: 1,001")


def test_only_answers_of_this_machine_hold_here() -> None:
    assert answer_words(Answer.HOLDS) == "holds here"
    assert answer_words(Answer.HOLDS, is_reference=True) == "holds"
    assert answer_words(Answer.TOO_CLOSE) == "too close to call"
