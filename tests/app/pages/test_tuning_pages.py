"""The pages of tunings without a browser: the list and its form, a result, and its plot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from app.pages.curves import FOOT, LEFT, TOP
from app.pages.tuning_plot import tuning_plot
from app.schemas.states import JobState
from tests.app.driver import LabProcess
from tests.app.in_process_lab import InProcessLab
from tests.app.tunings.stored_tunings import RATES, keep_tunings, tuning

FORM = {
    "model": "reactor-pool",
    "knob": "workers",
    "values": "1..4",
    "objective": "max<600s",
    "work": "sleep 1ms",
    "knobs": "queue=64",
    "rounds": "2",
    "vus": "4",
    "duration_s": "0.5",
    "warmup_s": "0",
    "label": "a note",
}
CHOICES: dict[int | str, tuple[float | None, ...]] = {"worker": (100, 101), "reactor": (None, None)}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    """A lab with tunings that have ended: with an answer, of choices, failed, stopped, without a rate."""
    folder: Path = tmp_path_factory.mktemp("past")
    keep_tunings(
        folder,
        tuning(),
        tuning(CHOICES, knob="reply", unit=""),
        replace(tuning(), state=JobState.FAILED, failure="It was <killed>."),
        replace(tuning(), state=JobState.STOPPED, runs=(), result=None),
        tuning({1: (0.0,), 2: (0.0,)}),
    )
    with closing(InProcessLab(folder)) as lab:
        yield lab


def page(lab: LabProcess, path: str, status: int = 200) -> str:
    answer = lab.http.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def test_a_result_has_its_plot_answer_values_and_runs(past: InProcessLab) -> None:
    text, view = page(past, "/tunings/1"), tuning()
    assert view.result
    assert all(str(escape(sentence)) in text for sentence in view.result.sentences)
    assert str(escape("a <note>")) in text and "<note>" not in text
    assert text.count('href="/runs/1"') == len(view.runs)
    assert text.count("<circle") >= 2 * len(RATES), "a wide and a narrow plot"
    assert text.count('class="zone"') == 2
    assert "Tendency" in text and str(escape(view.rule)) in text


@pytest.mark.parametrize(
    ("id", "word"),
    [
        (2, "No answer"),
        (3, "It was &lt;killed&gt;."),
        (4, "No data was collected."),
        (5, "No value keeps p(99)&lt;50ms at any rate."),
    ],
)
def test_a_tuning_without_an_answer_says_why(past: InProcessLab, id: int, word: str) -> None:
    assert word in page(past, f"/tunings/{id}")


def test_all_tunings_are_listed_with_their_answers(past: InProcessLab) -> None:
    text = page(past, "/tunings")
    assert all(f'href="/tunings/{id}"' in text for id in range(1, 6))
    assert "workers 16 is the smallest value" in text and "Stopped early." in text
    page(past, "/tunings/99", 404)


def test_a_link_selects_model_and_knob(past: InProcessLab) -> None:
    text = page(past, "/tunings?model=blocking&knob=max_threads")
    assert '<option value="blocking" selected>' in text
    assert re.search(r'value="max_threads"[^>]* selected\s*>\s*max_threads: 1 to 30,000 threads', text)
    assert '<option value="gunicorn"' in text or "External servers" not in text


def test_a_tuning_is_deleted_after_a_confirmation(past: InProcessLab) -> None:
    [extra] = [5]
    assert f"Delete tuning {extra}?" in page(past, f"/tunings/{extra}/delete")
    answer = past.http.post(f"/tunings/{extra}/delete")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tunings")
    page(past, f"/tunings/{extra}", 404)


def test_a_form_starts_a_tuning_that_can_be_stopped(lab: LabProcess) -> None:
    answer = lab.http.post("/tunings", data=FORM)
    assert answer.status_code == 303, answer.text
    id = int(answer.headers["location"].rpartition("/")[2])
    view = lab.get(f"/tunings/{id}")
    assert (view["values"], view["knobs"], view["rounds"], view["label"]) == (
        [1, 2, 4],
        {"queue": 64},
        2,
        "a note",
    )
    assert view["plan"]["work"] == [{"kind": "sleep", "weight": 1, "params": {"ms": 1}}]
    text = page(lab, f"/tunings/{id}")
    assert "0 of 6 runs" in text or "of 6 runs" in text
    assert lab.http.post(f"/tunings/{id}/stop").headers["location"] == f"/tunings/{id}"
    assert lab.wait_tuned(id)["state"] == "stopped"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("knob", "nope"),
        ("values", "1"),
        ("values", "4..1"),
        ("values", "0..4"),
        ("knobs", "queue=0"),
        ("objective", "errors<1%"),
        ("work", "nope"),
        ("rounds", "many"),
        ("vus", "0"),
        ("model", "nope"),
    ],
)
def test_a_wrong_field_is_marked_and_the_form_keeps_its_values(
    past: InProcessLab, field: str, value: str
) -> None:
    before = past.get("/tunings?limit=1")
    answer = past.http.post("/tunings", data={**FORM, field: value})
    assert answer.status_code == 422
    assert f'id="f-{field}-problem"' in answer.text and 'value="a note"' in answer.text
    assert past.get("/tunings?limit=1") == before


def test_the_plot_has_the_values_on_a_logarithmic_axis() -> None:
    plot = tuning_plot(tuning())
    assert plot and plot.label and plot.band and plot.formula
    distances = {round(b.x - a.x) for a, b in zip(plot.points, plot.points[1:], strict=False)}
    assert max(distances) - min(distances) <= 1, "each value is twice the one before"
    assert [point.look for point in plot.points] == ["other"] * 4 + ["answer", "best"]
    assert plot.points[2].text == "workers 4: 190 req/s, 190 to 191, 2 runs"
    assert plot.label.text == "workers 16" and plot.formula.text == "formula 21"
    assert plot.points[4].x < plot.formula.x < plot.points[5].x
    best, lowest = plot.band
    assert best == plot.points[5].y < plot.points[4].y < lowest


def test_the_plot_of_choices_has_no_line_and_marks_what_is_void() -> None:
    plot = tuning_plot(tuning({**CHOICES, "third": (99, 99)}, knob="reply", unit=""))
    assert plot and plot.path == "" and plot.formula is None
    assert [tick.text for tick in plot.x_ticks] == ["worker", "reactor", "third"]
    assert [mark.text for mark in plot.void] == ["reply reactor: void"]


def test_there_is_no_plot_without_a_valid_run() -> None:
    assert tuning_plot(tuning({1: (None,), 2: (None,)})) is None
    assert tuning_plot(replace(tuning(), result=None)) is None


@given(
    st.dictionaries(
        st.integers(0, 10**6),
        st.lists(st.none() | st.just(0.0) | st.floats(1, 1e6), min_size=1, max_size=3).map(tuple),
        min_size=2,
        max_size=8,
    ),
    st.booleans(),
)
def test_every_plot_stays_inside_its_frame(
    rates: dict[int | str, tuple[float | None, ...]], narrow: bool
) -> None:
    ordered = dict(sorted(rates.items(), key=lambda pair: int(pair[0])))
    plot = tuning_plot(tuning(ordered), narrow)
    for point in plot.points if plot else ():
        assert plot and LEFT <= point.x <= plot.right and TOP <= point.y <= FOOT
        assert all(TOP <= height <= FOOT for height in point.bar or ())
