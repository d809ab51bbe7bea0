"""The geometry of plots: rows, axis, margin, void rounds and the summary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.experiments.evidence import Pair
from app.pages.plots import Row, count_row, ratio_plot, round_rows

ROUNDS = [Row(f"round {n}", (ratio,)) for n, ratio in enumerate((5.8, 5.9, 5.2), 1)]


def test_the_axis_is_the_same_before_and_after_rounds_that_fit() -> None:
    before = ratio_plot(2.0, [Row("round 1", ())])
    after = ratio_plot(2.0, [Row("round 1", (5.8,))], answered=True)
    assert (before.low, before.high, before.ticks) == (after.low, after.high, after.ticks)
    assert before.summary is None and after.summary


def test_margin_and_equal_are_labelled() -> None:
    texts = {tick.text: tick.strong for tick in ratio_plot(2.0, ROUNDS).ticks}
    assert texts["margin ×2.0"] and texts["equal"] is False


@given(
    st.sampled_from([None, 1.1, 1.3, 2.0, 1 / 1.1]),
    st.lists(st.floats(0.01, 500), min_size=1, max_size=9),
    st.booleans(),
)
def test_everything_is_within_the_plot(margin: float | None, ratios: list[float], narrow: bool) -> None:
    rows = [Row(f"round {n}", (ratio,)) for n, ratio in enumerate(ratios)]
    plot = ratio_plot(margin, rows, narrow=narrow, prediction=3.0, answered=True)
    places = [dot for row in plot.rows for dot in row.dots] + [tick.x for tick in plot.ticks]
    places += [*plot.zone, *plot.edges, plot.one, plot.prediction or 0]
    assert all(plot.left <= x <= plot.right for x in places)
    assert plot.zone[0] <= plot.zone[1] and all(row.y < plot.foot for row in plot.rows)
    assert all(a.x < b.x for a, b in zip(plot.ticks, plot.ticks[1:], strict=False))


def test_several_ratios_have_a_row_each_and_no_summary() -> None:
    rows = [Row("a / b", (1.2, 1.3)), Row("a / c", (0.9, 1.0))]
    plot = ratio_plot(1.1, rows, answered=True, labels_above=True)
    assert [len(row.dots) for row in plot.rows] == [2, 2] and plot.summary is None
    assert plot.rows[0].text == "×1.25"


def test_a_void_round_is_shown_and_repeated() -> None:
    pairs = [Pair(1, 2.0, ""), Pair(2, None, "The load generator was the limit."), Pair(3, 2.1, "")]
    rows = round_rows(pairs, wanted=3, is_running=True)
    assert [(row.label, row.ratios, row.void) for row in rows] == [
        ("round 1", (2.0,), ""),
        ("round 2", (), "The load generator was the limit."),
        ("round 3", (2.1,), ""),
        ("round 4", (), ""),
    ]
    assert rows[3].is_next and not any(row.is_next for row in rows[:3])


def test_counts_have_an_axis_from_zero() -> None:
    row = count_row("Threads", (10.0, 5.0), "5 to 10", "predicted: 10", "too_close")
    assert row.dots == (80.0, 40.0)
    assert count_row("Threads", (), "not measured", "", "cannot_test").dots == ()
