"""From trials to an answer: which count, what they come to, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.comparisons.aggregate import Measured, conclude, measured, why_not
from app.load.protocol import histogram
from app.load.protocol.histogram import Percentiles
from app.schemas.comparison import ComparisonEntry
from app.schemas.result import GeneratorCost, Latency, Ledger, Summary, Verdict
from app.schemas.run import RunView
from app.schemas.states import RunState, VerdictName

NOTHING = Percentiles(0, None, None, None, None, None, None)
ENTRIES = tuple(ComparisonEntry(letter, letter * 3, "reactor", {}) for letter in "ABC")


def run(
    cost: float | None = 8.0,
    rate: float = 1000.0,
    rankable: bool = True,
    unfit: dict[str, str | None] | None = None,
) -> RunView:
    """A run that has ended, with these figures; of before 0.2, unless it is said which are `unfit`."""
    summary = Summary(1000, {}, 1.0, rate, rate, 1.0, 0, 0, 0, 0, 8, 0, Latency(NOTHING, NOTHING), ())
    ledger = Ledger(
        cost,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        1,
        1,
        None,
        None,
        GeneratorCost(None, None),
    )
    verdict = Verdict(
        VerdictName.UNSATURATED, "Unsaturated", rankable, ("It was late.",), (), {}, "cpu_us", unfit or {}
    )
    return RunView(
        1,
        RunState.FINISHED,
        1.0,
        None,
        None,
        "By hand",
        "reactor",
        "Reactor",
        "reactor-1",
        {},
        {},
        "",
        {},
        {},
        summary,
        ledger,
        verdict,
        (),
        None,
        "2026-11-24T00:00:00Z",
        None,
    )


def trials(view: str, *of: list[RunView]) -> list[Measured]:
    """The runs of each entry, as trials in turns; every run has 1,000 answers of 1 ms."""
    found = [
        measured(view, entry, trial, replace(runs[trial - 1], id=10 * entry + trial), None)
        for trial in range(1, max(map(len, of)) + 1)
        for entry, runs in enumerate(of)
        if trial <= len(runs)
    ]
    one = histogram.from_counts([(1000, 1000)])
    return [replace(each, service=one, response=one) for each in found]


def answer(view: str, *of: list[RunView]) -> Any:
    return conclude(view, ENTRIES[: len(of)], trials(view, *of))


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (run(rankable=False), "late"),
        (run(unfit={"cpu_us": "Only 98.0 % of the rate was answered."}), "98.0 %"),
        (run(cost=None), "CPU per request is not known"),
        (replace(run(), summary=None, verdict=None, failure="It broke."), "It broke."),
        (replace(run(), summary=None, verdict=None, state=RunState.STOPPED), "stopped before anything"),
    ],
)
def test_a_run_that_is_not_fit_is_not_ranked_and_says_why(seen: RunView, word: str) -> None:
    assert word in (why_not("cpu_us", seen) or "")
    assert why_not("cpu_us", run()) is None


def test_a_ceiling_needs_neither_an_offered_rate_nor_a_cost() -> None:
    assert why_not("achieved_per_s", run(cost=None)) is None
    busy = run(unfit={"cpu_us": None, "achieved_per_s": "The generator was busy."})
    assert why_not("cpu_us", busy) is None and why_not("achieved_per_s", busy) == "The generator was busy."


def test_who_is_called_better_is_said_first_with_unit_and_n() -> None:
    result = answer("cpu_us", [run(8.0 + i / 10) for i in range(3)], [run(16.0)] * 3)
    assert result.said[0] == "AAA has the lowest CPU per request: 8.1 µs, the median of 3 trials."
    assert result.said[1] == "BBB: 16.0 µs, 1.98 times that of AAA."
    assert [each.place for each in result.standings] == [1, 2]
    faster = answer("achieved_per_s", [run(rate=1000.0)], [run(rate=500.0)])
    assert faster.said[:2] == (
        "AAA has the highest throughput: 1,000 req/s, one trial.",
        "BBB: 500 req/s, 0.50 times that of AAA.",
    )


def test_equals_are_too_close_to_call() -> None:
    result = answer("cpu_us", [run(8.0), run(8.2)], [run(8.1), run(8.3)], [run(30.0), run(31.0)])
    assert result.groups == ((0, 1),) and [each.place for each in result.standings] == [1, 1, 3]
    assert result.said[0].startswith("AAA and BBB are too close to call: CPU per request 8.1 µs to 8.2 µs")


def test_trials_that_are_not_ranked_change_nothing_of_the_figures() -> None:
    bad = run(80.0, rankable=False)
    result = answer("cpu_us", [run(8.0), bad, run(8.2)], [run(20.0)] * 3)
    first = result.standings[0]
    assert (first.ranked, first.trials) == (2, 3)
    assert first.figures["cpu_us"].median == pytest.approx(8.1) and first.figures["cpu_us"].n == 2
    assert first.latency.response.count == 2000, "histograms of the two that count, added"


def test_an_entry_without_a_ranked_trial_is_shown_without_a_place() -> None:
    result = answer("cpu_us", [run(8.0)], [run(4.0, rankable=False)], [run(20.0)])
    assert [each.place for each in result.standings] == [1, None, 2]
    assert result.standings[1].figures["cpu_us"].median == 4.0 and result.order == (0, 2, 1)
    assert "BBB: 1 of 1 trials not valid. Unsaturated. It was late." in result.said


def test_the_only_survivor_is_no_winner() -> None:
    bad = run(4.0, rankable=False)
    result = answer("cpu_us", [bad, bad, bad], [run(38.1), bad, bad], [bad, bad, run(40.0)])
    assert result.said[0] == "No winner: no entry has enough valid trials to compare CPU per request."
    assert [each.place for each in result.standings] == [None] * 3 and result.groups == ()
    alone = answer("cpu_us", [bad, bad, bad], [run(38.1), run(38.2), bad], [bad, bad, run(40.0)])
    assert alone.said[0] == "No winner: only BBB has enough valid trials to compare CPU per request."
    assert [each.place for each in alone.standings] == [None] * 3
    assert "CCC: 2 of 3 trials not valid. Unsaturated. It was late." in alone.said
    two = answer("cpu_us", [run(8.0), run(8.1), bad], [run(38.1), run(38.2), bad])
    assert [each.place for each in two.standings] == [1, 2]


def test_one_alone_has_its_figure_and_no_place() -> None:
    result = answer("cpu_us", [run(38.0), run(38.2), run(38.4)])
    assert result.said == (
        "AAA: CPU per request 38.2 µs, the median of 3 trials. It was not compared with anything.",
    )
    assert [each.place for each in result.standings] == [None]


def test_a_comparison_can_be_about_any_figure() -> None:
    result = answer("threads_peak", [run()] * 3, [run()] * 3)
    assert result.metric == "threads_peak" and result.said[0].startswith(
        "AAA and BBB are too close to call: peak threads 1"
    )


def test_percentiles_of_trials_are_merged_and_not_averaged() -> None:
    quick, slow = histogram.from_counts([(100, 9900)]), histogram.from_counts([(100_000, 1100)])
    kept = trials("cpu_us", [run(), run()])
    kept = [replace(kept[0], response=quick, service=quick), replace(kept[1], response=slow, service=slow)]
    latency = conclude("cpu_us", ENTRIES[:1], kept).standings[0].latency
    assert latency and latency.response.count == 11_000
    assert latency.response.p50_us == pytest.approx(100, rel=0.01)  # their average would be 50 ms
    assert latency.response.p99_us == pytest.approx(100_000, rel=0.01)


def test_what_is_kept_of_a_comparison_is_read_back_the_same() -> None:
    result = answer("cpu_us", [run(8.0), run(8.2)], [run(20.0)])
    kind = TypeAdapter(type(result))
    assert kind.validate_json(kind.dump_json(result)) == result
