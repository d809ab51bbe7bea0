"""Every form field has a length limit: a longer value is rejected at its field, and nothing changes.

The forms are read from the pages, so new fields are tested without a change here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from threading import get_ident
from typing import Any

import pytest

from app.errors import Invalid, shown
from app.imports import parsers
from app.pages import load_form
from app.pages.field_lengths import check_lengths, length_max
from app.plans.thresholds import THRESHOLDS_MAX
from app.runs import run as run_module
from app.runs import trial
from app.runs.generator import Generator
from app.store.imported_results import ImportedResultStore
from app.store.runs import RunStore
from tests.app.driver import assert_problem, light
from tests.app.in_process_lab import InProcessLab
from tests.app.stored_runs import keep

PAGES = (
    "/",
    "/workbench",
    "/experiments",
    "/experiments/reactor-stalls",
    "/live",
    "/runs",
    "/runs/1",
    "/runs/1/delete",
    "/runs/delete?run=1&run=2",
    "/comparisons",
    "/tunings",
    "/models/reactor",
    "/login",
)
HIDDEN = {  # fields that no page shows in this state: after an error, or with an engine or comparison
    "/runs": {"again", "restart"},
    "/engines/reactor-1/stop": {"force"},
    "/models/reactor/stop": {"force"},
    "/models/reactor/load": {"scenario"},
    "/comparisons/1/delete": {"runs"},
}
# Fields without a place for an error: it is shown above the form, or on a separate page.
NO_PLACE = re.compile(r"again|restart|force|runs?|model|scenario|claim|set|quick|guess|tick_.*|more_.*")


@dataclass
class Form:
    """A POST form: its action, its field names, and the values of its hidden fields."""

    action: str
    names: set[str] = field(default_factory=set)
    hidden: dict[str, str] = field(default_factory=dict)


class Forms(HTMLParser):
    """Collects the POST forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and given.get("method") == "post":
            self.found.append(Form(str(given["action"])))
            self._form = self.found[-1]
        elif self._form and (name := given.get("name")) and given.get("type") != "file":
            self._form.names.add(name)
            if given.get("type") == "hidden":
                self._form.hidden[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    """Yield a lab with three stored runs."""
    folder = tmp_path_factory.mktemp("past")
    keep(folder, {"label": "first"}, {}, {})
    with closing(InProcessLab(folder)) as lab:
        yield lab


def forms(lab: InProcessLab) -> list[Form]:
    """Return every POST form of every page."""
    parser = Forms()
    for page in PAGES:
        answer = lab.http.get(page)
        assert answer.status_code == 200
        parser.feed(answer.text)
    return parser.found + [Form(action, names) for action, names in HIDDEN.items()]


def state(lab: InProcessLab) -> tuple[Any, ...]:
    return tuple(
        lab.get(path)
        for path in ("/runs", "/engines", "/comparisons", "/experiments", "/tunings", "/runs/1/foreign")
    )


def field_errors(html: str) -> str:
    """Return all error messages at fields."""
    return " ".join(re.findall(r'<small class="problem"[^>]*>([^<]+)</small>', html))


def test_every_form_field_is_rejected_above_its_length_limit(past: InProcessLab) -> None:
    found, before = forms(past), state(past)
    names = {(form.action, name) for form in found for name in form.names}
    assert (
        names >= {("/runs", name) for name in load_form.FIELD_NAMES}
        and ("/login", "token") in names
        and len(names) > 60
    )
    for form in found:
        for name in form.names:
            typed = (
                {"engine": "model:reactor", "tool": "wrk"}
                | form.hidden
                | {name: "1" * (length_max(name) + 1)}
            )
            answer = past.http.post(form.action, data=typed, headers={"HX-Request": "true"})
            assert answer.status_code == (404 if name == "model" and form.action != "/tunings" else 422), (
                form.action,
                name,
            )
            if not NO_PLACE.fullmatch(name):
                errors = field_errors(answer.text)
                assert re.search(r"at most [\d,]+ characters|The tool is one of", errors), (
                    form.action,
                    name,
                    errors,
                )
    assert state(past) == before


ATTACK = "5s:5" + "\n" * 2000 + "x"


def test_too_long_stages_are_rejected_at_their_field(past: InProcessLab) -> None:
    answer = past.http.post(
        "/runs", data={"engine": "model:reactor", "executor": "ramping-vus", "stages": ATTACK}
    )
    assert answer.status_code == 422
    assert "stages is at most 2,000 characters (got 2,005)." in field_errors(answer.text)
    with pytest.raises(Invalid) as refused:
        check_lengths({"stages": ATTACK, "knob_idle_s": "1" * 201, "vus": "8"}, load_form.PLAN_FIELDS)
    assert [each.pointer for each in refused.value.problems] == ["/plan/stages", "/knobs/idle_s"]


def test_values_at_their_length_limit_are_accepted(past: InProcessLab) -> None:
    form = {"engine": "model:reactor", "stages": ATTACK[: length_max("stages") - 1] + "x", "vus": "1" * 200}
    answer = past.http.post("/runs", data=form)
    assert answer.status_code == 422 and "is not a stage" in field_errors(answer.text)
    assert past.http.post("/runs/1/label", data={"label": "l" * 200}).status_code == 303
    assert past.get("/runs/1")["label"] == "l" * 200


def test_field_names_are_limited_too(past: InProcessLab) -> None:
    for path in ("/runs", "/engines", "/comparisons/1/delete"):
        assert past.http.post(path, data={"n" * 201: "x", "model": "reactor"}).status_code == 422


def test_too_many_thresholds_are_rejected_by_form_and_api(past: InProcessLab) -> None:
    many = ["rate>1"] * (THRESHOLDS_MAX + 1)
    form = {
        "engine": "model:reactor",
        "scenario": "sprint",
        "thresholds": "\n".join(many),
        "tick_reactor": "on",
    }
    for path in ("/runs", "/comparisons"):
        answer = past.http.post(path, data=form)
        assert answer.status_code == 422 and "at most 20 thresholds" in field_errors(answer.text)
    assert_problem(past.post("/runs", {"model": "reactor", "thresholds": many}), 422, "/thresholds")
    assert past.get("/runs?state=queued") == []


@pytest.mark.parametrize("value", ["9" * 60_000, "a" * 201])
def test_a_too_long_knob_value_is_rejected_at_its_field(past: InProcessLab, value: str) -> None:
    answer = past.post("/engines", {"model": "reactor", "knobs": {"idle_s": value}})
    assert_problem(answer, 422, "/knobs/idle_s")
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs", {"model": "reactor", "n" * 50_000: 1}),
        ("/runs", {f"f{i}": 0 for i in range(5500)}),
        ("/runs", {"model": "reactor", "plan": {"vus": 10**4000}}),
        ("/runs", {"model": "reactor", "plan": {"executor": "x" * 50_000}}),
        ("/runs", {"model": "x" * 200, "plan": {}}),
        ("/engines", {"model": "reactor", "knobs": {"idle_s": 10**4000}}),
        ("/engines", {"model": "reactor", "knobs": {"idle_s": ["x" * 30_000] * 2}}),
        ("/comparisons", {"models": [{"model": "reactor", "knobs": {"k" * 200: "v" * 200}}] * 12}),
    ],
    ids=[
        "a name",
        "many names",
        "a number",
        "a choice",
        "a model",
        "a knob's number",
        "a knob's list",
        "entries",
    ],
)
def test_an_error_response_does_not_repeat_long_input(past: InProcessLab, path: str, body: Any) -> None:
    answer = past.post(path, body)
    assert answer.status_code in (404, 422) and len(answer.text) < 10_000


def test_an_error_response_does_not_repeat_a_long_address(past: InProcessLab) -> None:
    for path in ("/api/v1/engines/", "/api/v1/models/", "/cards/", "/models/", "/api/v1/runs?a=1&"):
        answer, short = (past.http.get(path + "x" * length) for length in (30_000, 300))
        assert answer.status_code in (404, 422) and len(answer.text) <= len(short.text) + 1, path
    long = past.http.get("/api/v1/runs?" + "&".join(f"q{i}" for i in range(5000)))
    assert long.status_code == 422 and len(long.json()["errors"]) == 10


def test_a_too_long_filter_is_dropped(past: InProcessLab) -> None:
    answer = past.http.get("/runs", params={"text": "x" * 30_000, "model": "y" * 10_000})
    assert answer.status_code == 200 and "at most 200 characters" in field_errors(answer.text)
    assert len(answer.text) < 50_000


def test_a_value_in_a_message_is_shortened() -> None:
    assert shown("reactor") == "'reactor'"
    assert all(
        len(shown(value)) < 500 for value in ("x" * 10**6, "\x00" * 10**6, ["x" * 10**5] * 1000, 10**4000)
    )


def watched(patch: pytest.MonkeyPatch, *functions: tuple[Any, str]) -> dict[str, int]:
    """Patch these functions, and return a mapping that has the thread of the last call of each."""
    seen: dict[str, int] = {}

    def watch(of: Any, name: str) -> None:
        real = getattr(of, name)

        def recorded(*args: Any, **more: Any) -> Any:
            seen[name] = get_ident()
            return real(*args, **more)

        patch.setattr(of, name, recorded)

    for each in functions:
        watch(*each)
    return seen


def test_slow_calls_do_not_run_on_the_event_loop(past: InProcessLab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched(
        monkeypatch,
        (RunStore, "get_many"),
        (RunStore, "delete"),
        (ImportedResultStore, "delete"),
        (parsers, "read"),
    )
    assert past.http.get("/runs/delete?run=1&run=2").status_code == 200
    assert past.http.get("/runs/delete?run=1&run=999999999999999999999").status_code == 404
    assert_problem(past.post("/runs/1/foreign", {"tool": "wrk", "text": "\n" * 30_000}), 422, "/text")
    assert past.http.delete("/api/v1/runs/1/foreign/1").status_code == 404
    assert past.http.post("/runs/delete", data={"run": ["2", "3"]}).status_code == 303
    assert past.http.delete("/api/v1/runs/2").status_code == 404
    assert seen.keys() == {"get_many", "delete", "read"}
    assert past.event_loop_thread not in seen.values()


def test_results_are_not_computed_on_the_event_loop(
    past: InProcessLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result of a run of 600 s takes 2.7 s to compute."""
    seen = watched(
        monkeypatch, (Generator, "outcome"), (trial, "series"), (trial, "evidence"), (run_module, "check")
    )
    run = past.run(model="reactor", plan=light(), thresholds=["p(42)<60s"])
    assert (run["state"], run["thresholds"][0]["breached"]) == ("finished", False)
    assert seen.keys() == {"outcome", "series", "evidence", "check"}
    assert past.event_loop_thread not in seen.values()
