"""The result of a comparison: valid trials, figures, ranking, and its sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.comparisons.aggregate import (
    MeasuredTrial,
    compute_result,
    exclusion_reason,
    measured_trial,
)
from app.load.protocol import histogram
from app.load.protocol.histogram import Percentiles
from app.schemas.comparison import ComparisonEntry
from app.schemas.result import GeneratorCost, Latency, Ledger, Summary, Verdict
from app.schemas.run import RunView
from app.schemas.states import RunState, VerdictName

NOTHING = Percentiles(0, None, None, None, None, None, None)
ENTRIES = tuple(ComparisonEntry(letter, letter * 3, "reactor", {}) for letter in "ABC")

NO_WINNER = "No winner: fewer than two valid models. {} has enough valid trials to compare CPU per request."


def run(
    cost: float | None = 8.0,
    rate: float = 1000.0,
    rankable: bool = True,
    unfit: dict[str, str | None] | None = None,
) -> RunView:
    """Return a finished run with these figures; as stored before 0.2, unless `unfit` is given."""
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
        "Reactor · 1,000 req/s",
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


def trials(view: str, *of: list[RunView]) -> list[MeasuredTrial]:
    """Return the runs of each entry as interleaved trials; every run has 1,000 responses of 1 ms."""
    found = [
        measured_trial(view, entry, trial, replace(runs[trial - 1], id=10 * entry + trial), None)
        for trial in range(1, max(map(len, of)) + 1)
        for entry, runs in enumerate(of)
        if trial <= len(runs)
    ]
    one = histogram.from_counts([(1000, 1000)])
    return [replace(each, service=one, response=one) for each in found]


def result_of(view: str, *of: list[RunView]) -> Any:
    return compute_result(view, ENTRIES[: len(of)], trials(view, *of))


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (run(rankable=False), "late"),
        (run(unfit={"cpu_us": "Only 98.0 % of the rate was achieved."}), "98.0 %"),
        (run(cost=None), "CPU per request is unknown"),
        (replace(run(), summary=None, verdict=None, failure="It broke."), "It broke."),
        (replace(run(), summary=None, verdict=None, state=RunState.STOPPED), "the run was stopped"),
    ],
)
def test_an_invalid_run_is_excluded_with_its_reason(seen: RunView, word: str) -> None:
    assert word in (exclusion_reason("cpu_us", seen) or "")
    assert exclusion_reason("cpu_us", run()) is None


def test_maximum_throughput_needs_neither_an_offered_rate_nor_a_cost() -> None:
    assert exclusion_reason("achieved_per_s", run(cost=None)) is None
    busy = run(unfit={"cpu_us": None, "achieved_per_s": "The generator was busy."})
    assert exclusion_reason("cpu_us", busy) is None
    assert exclusion_reason("achieved_per_s", busy) == "The generator was busy."


def test_the_winner_is_named_first_with_unit_and_number_of_trials() -> None:
    result = result_of("cpu_us", [run(8.0 + i / 10) for i in range(7)], [run(16.6)] * 7)
    assert result.said == (
        "AAA has the lowest CPU per request: 8.3 µs (median of 7 trials).",
        "BBB: 16.6 µs, 2.00 times that of AAA (1.93 to 2.08 in 7 rounds).",
    )
    assert [each.place for each in result.standings] == [1, 2]
    faster = result_of("achieved_per_s", [run(rate=1000.0)] * 7, [run(rate=500.0)] * 7)
    assert faster.said == (
        "AAA has the highest throughput: 1,000 req/s (median of 7 trials).",
        "BBB: 500 req/s, 0.50 times that of AAA (0.50 to 0.50 in 7 rounds).",
    )


def test_fewer_than_seven_rounds_show_a_tendency_and_no_place() -> None:
    result = result_of("cpu_us", [run(8.0)] * 3, [run(16.0)] * 3, [run(8.2)] * 3)
    assert result.said == (
        "No places: a ranking needs 7 valid rounds. Fewer show a tendency.",
        "AAA: CPU per request 8.0 µs (median of 3 trials).",
        "CCC: 8.2 µs, 1.02 times that of AAA (1.02 to 1.02 in 3 rounds): leans to no difference.",
        "BBB: 16.0 µs, 2.00 times that of AAA (2.00 to 2.00 in 3 rounds): leans to worse.",
    )
    assert [each.place for each in result.standings] == [None] * 3 and result.order == (0, 2, 1)
    single = result_of("cpu_us", [run(8.0)], [run(8.5)])
    assert "BBB: 8.5 µs, 1.06 times that of AAA (one round): leans to no difference." in single.said


def test_equal_entries_show_no_difference() -> None:
    result = result_of("cpu_us", [run(8.0)] * 7, [run(8.2)] * 7, [run(30.0)] * 7)
    assert result.groups == ((0, 1),) and [each.place for each in result.standings] == [1, 1, 3]
    assert result.said == (
        "AAA and BBB share the lowest CPU per request. AAA: 8.0 µs (median of 7 trials).",
        "BBB: 8.2 µs, 1.02 times that of AAA (1.02 to 1.02 in 7 rounds): no difference (within ±10 %).",
        "CCC: 30.0 µs, 3.75 times that of AAA (3.75 to 3.75 in 7 rounds).",
    )


def test_too_close_to_call_is_said_of_every_such_pair() -> None:
    wide = [run(8.0)] * 4 + [run(10.0)] * 3
    result = result_of("cpu_us", [run(4.0)] * 7, [run(8.0)] * 7, wide)
    assert result.said[0] == "AAA has the lowest CPU per request: 4.0 µs (median of 7 trials)."
    assert result.said[-1] == "BBB and CCC: too close to call (ratios 0.80 to 1.00 in 7 rounds)."


def test_excluded_trials_do_not_affect_the_figures() -> None:
    bad = run(80.0, rankable=False)
    result = result_of("cpu_us", [run(8.0), bad, run(8.2)], [run(20.0)] * 3)
    first = result.standings[0]
    assert (first.ranked, first.trials) == (2, 3)
    assert first.figures["cpu_us"].median == pytest.approx(8.1) and first.figures["cpu_us"].n == 2
    assert first.latency.response.count == 2000, "merged histograms of the two valid trials"


def test_an_entry_without_a_valid_trial_is_shown_without_a_place() -> None:
    result = result_of("cpu_us", [run(8.0)] * 7, [run(4.0, rankable=False)] * 4, [run(20.0)] * 7)
    assert [each.place for each in result.standings] == [1, None, 2]
    assert result.standings[1].figures["cpu_us"].median == 4.0 and result.order == (0, 2, 1)
    assert "BBB: 4 of 4 trials not valid. Unsaturated. It was late." in result.said


def test_the_only_valid_entry_is_no_winner() -> None:
    bad = run(4.0, rankable=False)
    result = result_of("cpu_us", [bad] * 4, [bad] * 4)
    assert result.said[0] == NO_WINNER.format("No model")
    assert [each.place for each in result.standings] == [None] * 2 and result.groups == ()
    assert result.said[1:] == ("AAA and BBB: 8 of 8 trials not valid. Unsaturated. It was late.",)
    alone = result_of("cpu_us", [bad] * 4, [run(38.1)] * 7)
    assert alone.said[0] == NO_WINNER.format("Only BBB")
    assert [each.place for each in alone.standings] == [None] * 2
    assert "AAA: 4 of 4 trials not valid. Unsaturated. It was late." in alone.said
    apart = result_of("cpu_us", [run(38.1), bad, bad], [bad, bad, run(40.0)])
    assert "BBB: 40.0 µs. No round has a valid trial of it and of AAA." in apart.said
    two = result_of("cpu_us", [*[run(8.0)] * 7, bad], [*[run(38.1)] * 7, bad])
    assert [each.place for each in two.standings] == [1, 2]


def test_a_single_entry_has_its_figure_and_no_place() -> None:
    result = result_of("cpu_us", [run(38.0), run(38.2), run(38.4)])
    assert result.said == (
        "AAA: CPU per request 38.2 µs (median of 3 trials). A single entry is not ranked.",
    )
    assert [each.place for each in result.standings] == [None]


def test_a_comparison_can_be_about_any_figure() -> None:
    result = result_of("threads_peak", [run()] * 7, [run()] * 7)
    assert result.metric == "threads_peak"
    assert result.said[0] == "AAA and BBB share the lowest peak threads. AAA: 1 (median of 7 trials)."


def test_percentiles_of_trials_are_merged_and_not_averaged() -> None:
    fast, slow = histogram.from_counts([(100, 9900)]), histogram.from_counts([(100_000, 1100)])
    measured = trials("cpu_us", [run(), run()])
    measured = [
        replace(measured[0], response=fast, service=fast),
        replace(measured[1], response=slow, service=slow),
    ]
    latency = compute_result("cpu_us", ENTRIES[:1], measured).standings[0].latency
    assert latency and latency.response.count == 11_000
    assert latency.response.p50_us == pytest.approx(100, rel=0.01)  # their average would be 50 ms
    assert latency.response.p99_us == pytest.approx(100_000, rel=0.01)


def test_a_stored_result_is_read_back_unchanged() -> None:
    result = result_of("cpu_us", [run(8.0), run(8.2)], [run(20.0)])
    kind = TypeAdapter(type(result))
    assert kind.validate_json(kind.dump_json(result)) == result
