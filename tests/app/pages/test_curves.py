"""The curves of claims: geometry, the claimed value, and the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.experiments.catalogue import catalogue
from app.experiments.curve import Curve, Mark, Point
from app.experiments.evidence import Evidence
from app.experiments.reference import reference
from app.pages.curves import CurvePlot, CurveView, curve_view
from app.schemas.experiment import ExperimentRound, ExperimentTrial

CURVES = [id for id, claim in catalogue().items() if claim.curve]


def shown(id: str) -> CurveView:
    claim, view = catalogue()[id], reference().experiments[id]
    assert claim.curve
    models = {entry.name: entry.model for cell in claim.cells for entry in cell.entries}
    found = curve_view(claim.curve, Evidence(view.rounds, view.rounds_wanted), models)
    assert found
    return found


def places(plot: CurvePlot) -> Iterator[tuple[float, float]]:
    for line in plot.lines:
        yield from line.dots
    yield from ((tick.at, plot.foot) for tick in plot.x_ticks)
    yield from ((plot.left, tick.at) for tick in plot.y_ticks)


def test_claims_that_vary_a_knob_or_a_load_have_a_curve() -> None:
    assert {"pool-9x", "pool-size", "reactor-saturates"} <= set(CURVES)


@pytest.mark.parametrize("id", CURVES)
def test_a_curve_has_points_of_cells_and_entries_that_are_measured(id: str) -> None:
    claim = catalogue()[id]
    assert claim.curve and claim.curve.figure in claim.figures
    entries = {(cell.key, entry.name) for cell in claim.cells for entry in cell.entries}
    for _, points in claim.curve.lines:
        assert {(point.cell, point.entry) for point in points} <= entries
        assert len({point.x for point in points}) == len(points) >= 3


@pytest.mark.parametrize("id", CURVES)
def test_a_measured_curve_is_within_its_drawing_and_marks_what_is_claimed(id: str) -> None:
    view = shown(id)
    for plot in (view.wide, view.narrow):
        assert plot.mark and plot.mark.text == view.claimed
        for x, y in places(plot):
            assert plot.left <= x <= plot.right and plot.top <= y <= plot.foot
    assert all(any(value for value, _ in row.cells) for row in view.rows)


def test_the_dots_of_a_curve_are_the_rounds() -> None:
    assert [len(line.dots) for line in shown("pool-9x").wide.lines] == [6, 6]
    assert shown("pool-9x").note.endswith("at least ×9 at every share.")
    rows = shown("pool-9x").rows
    assert [row.x for row in rows] == ["1", "2", "5"] and rows[0].claimed.endswith("req/s")


def test_the_size_that_the_formula_gives_is_marked_between_the_measured_ones() -> None:
    view = shown("pool-size")
    assert view.claimed == "claimed: 1 + W/C = 4.5" and "with 8 workers" in view.note
    assert view.wide.mark and view.wide.mark.path.startswith("M")
    assert [row.claimed for row in view.rows] == [""] * len(view.rows)


def rounds(values: list[float]) -> list[ExperimentRound]:
    """Return one round for each value of the cell of its number."""
    return [
        ExperimentRound(f"c{n}", 1, (ExperimentTrial("reactor", n, None, {"achieved_per_s": value}),))
        for n, value in enumerate(values)
    ]


@given(st.lists(st.just(0.0) | st.floats(0.01, 1e6), min_size=1, max_size=6), st.booleans())
def test_any_values_are_within_the_drawing(values: list[float], log: bool) -> None:
    points = tuple(Point(n + 1, f"c{n}", "reactor") for n in range(len(values)))
    curve = Curve("achieved_per_s", "n", (("reactor", points),), lambda _: Mark("m", ((1, 5.0),)), log)
    view = curve_view(curve, Evidence(rounds(values), 7), {})
    assert view
    for x, y in places(view.wide):
        assert view.wide.left <= x <= view.wide.right and view.wide.top <= y <= view.wide.foot
    gaps = [b.at - a.at for a, b in zip(view.wide.x_ticks, view.wide.x_ticks[1:], strict=False)]
    assert all(gap > 0 for gap in gaps)


def test_a_claim_without_measurements_has_no_curve() -> None:
    curve = catalogue()["pool-9x"].curve
    assert curve and curve_view(curve, Evidence((), 7), {}) is None
