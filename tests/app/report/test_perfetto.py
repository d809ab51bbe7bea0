"""Chrome traces of runs: the format, lanes without overlaps or gaps, and the metadata for missing parts."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from app.report import perfetto
from app.trace.recording import Recording
from engines.common.board.board import THREAD_STATES
from tests.app.driver import LabProcess, assert_problem, light

REQUIRED = {
    "M": {"args"},
    "X": {"ts", "dur", "cat"},
    "C": {"ts", "args"},
    "i": {"ts", "s"},
    "b": {"ts", "cat", "id"},
    "e": {"ts", "cat", "id"},
}
WORK = [{"kind": "plaintext", "weight": 9}, {"kind": "sleep", "weight": 1, "params": {"ms": 5}}]
# The load is so light that no trace ring overflows, even if the lab reads it late.
TRACED: dict[str, dict[str, Any]] = {
    "blocking": {"vus": 4, "churn": True},
    "main-sub": {"vus": 8, "work": WORK},
    "prefork": {"vus": 4, "work": WORK},
}
UNTRACED = "reactor"
MODELS = pytest.mark.parametrize("model", TRACED)


@dataclass(frozen=True)
class StoredRuns:
    """A lab, and the ids of its runs by model: all are traced except that of UNTRACED."""

    lab: LabProcess
    ids: dict[str, int]


@pytest.fixture(scope="module")
def stored(shared_lab: LabProcess) -> StoredRuns:
    plans = {model: light(0.5, 0.2, trace=True, **load) for model, load in TRACED.items()} | {
        UNTRACED: light(0.5, 0.2)
    }
    return StoredRuns(
        shared_lab, {model: shared_lab.run(model=model, plan=plan)["id"] for model, plan in plans.items()}
    )


def file_of(lab: LabProcess, id: int) -> Any:
    answer = lab.http.get(f"/api/v1/runs/{id}/perfetto")
    assert answer.status_code == 200, answer.text
    assert f"threadlab-run-{id}.perfetto.json" in answer.headers["content-disposition"]
    return answer.json()


def check(file: Any) -> dict[tuple[int, int], list[Any]]:
    """Check the format of a file, and return the events of each lane."""
    assert set(file) == {"displayTimeUnit", "otherData", "traceEvents"}
    lanes: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    named: dict[tuple[int, int], str] = {}
    for event in file["traceEvents"]:
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int) and event["name"]
        assert REQUIRED[event["ph"]] <= set(event), event
        assert event.get("ts", 0) >= 0
        if event["ph"] == "X":
            assert event["name"] in THREAD_STATES and event["dur"] > 0
            lanes[event["pid"], event["tid"]].append(event)
        elif event["name"] == "thread_name":
            assert (event["pid"], event["tid"]) not in named, "two lanes with the same id"
            named[event["pid"], event["tid"]] = event["args"]["name"]
    assert set(lanes) <= set(named) and len(set(named.values())) == len(named)
    return lanes


@MODELS
def test_lanes_have_neither_overlaps_nor_gaps(stored: StoredRuns, model: str) -> None:
    file = file_of(stored.lab, stored.ids[model])
    lanes = check(file)
    assert file["otherData"]["lost"] == 0 and "cut" not in file["otherData"]
    for events in lanes.values():
        for before, after in pairwise(events):
            assert after["ts"] >= before["ts"], "times increase"
            assert after["ts"] == pytest.approx(before["ts"] + before["dur"], abs=0.01)
            assert after["name"] != before["name"]
        wall = events[-1]["ts"] + events[-1]["dur"] - events[0]["ts"]
        assert sum(event["dur"] for event in events) == pytest.approx(wall, rel=0.01)


@MODELS
def test_the_states_of_threads_match_the_load(stored: StoredRuns, model: str) -> None:
    file = file_of(stored.lab, stored.ids[model])
    lanes = check(file)
    run = stored.lab.get(f"/runs/{stored.ids[model]}")
    names = {event["args"]["name"] for event in file["traceEvents"] if event["name"] == "thread_name"}
    handled = sum(event["name"] == "handling" for events in lanes.values() for event in events)
    assert handled >= run["summary"]["requests"]
    if model == "blocking":
        assert "acceptor 1" in names and sum(name.startswith("connection") for name in names) > 4, (
            "each connection has a thread"
        )
    else:
        assert {"main 1", "sub 1", "sub 2", "worker 4"} <= names or {"master 1", "worker 2"} <= names
        slept = [event["dur"] for events in lanes.values() for event in events if event["name"] == "blocked"]
        assert slept and min(slept) >= 5000
    if model == "prefork":
        assert len({pid for pid, _ in lanes}) == 3, "master and workers are processes"


@pytest.mark.parametrize("model", ["blocking", UNTRACED])
def test_counters_have_the_values_of_the_series(stored: StoredRuns, model: str) -> None:
    id = stored.ids[model]
    file, series = file_of(stored.lab, id), stored.lab.get(f"/runs/{id}/series")
    column = series["columns"].index("achieved_per_s")
    rows = [row[column] for row in series["rows"] if row[column] is not None]
    counters = [
        event["args"]["achieved"]
        for event in file["traceEvents"]
        if event["ph"] == "C" and "achieved" in event["args"]
    ]
    assert counters == rows != []
    marks = [event["name"] for event in file["traceEvents"] if event["ph"] == "i"]
    assert "measure starts" in marks


@MODELS
def test_each_request_begins_and_ends(stored: StoredRuns, model: str) -> None:
    file, run = file_of(stored.lab, stored.ids[model]), stored.lab.get(f"/runs/{stored.ids[model]}")
    begins = {event["id"]: event for event in file["traceEvents"] if event["ph"] == "b"}
    ends = {event["id"]: event for event in file["traceEvents"] if event["ph"] == "e"}
    assert len(begins) == run["summary"]["requests"] and begins.keys() == ends.keys()
    assert all(ends[id]["ts"] >= event["ts"] for id, event in begins.items())
    assert {event["name"] for event in begins.values()} == {
        each["label"] for each in run["summary"]["by_kind"]
    }


@MODELS
def test_an_excerpt_shows_threads_and_requests(stored: StoredRuns, model: str) -> None:
    found = stored.lab.get(f"/runs/{stored.ids[model]}/excerpt")
    assert found["run"] == stored.ids[model] and found["model"] == model
    assert found["begins_s"] >= 0 and found["window_us"] > 0
    assert found["threads"] and len(found["threads"]) <= found["threads_total"]
    for thread in found["threads"]:
        spans = thread["spans"]
        assert all(span["state"] in THREAD_STATES and span["from_us"] < span["to_us"] for span in spans)
        assert all(one["to_us"] <= other["from_us"] for one, other in pairwise(spans))
    path = f"/runs/{stored.ids[model]}/excerpt?window_us="
    assert stored.lab.get(f"{path}100000")["window_us"] == 100_000
    # On a busy machine a shorter window can be without requests; this one is as long as the load.
    assert stored.lab.get(f"{path}1000000")["requests"]


def test_a_run_without_tracing_has_no_excerpt(stored: StoredRuns) -> None:
    answer = stored.lab.http.get(f"/api/v1/runs/{stored.ids[UNTRACED]}/excerpt")
    assert "no thread trace" in assert_problem(answer, 409)


def test_a_run_without_tracing_has_counters_only(stored: StoredRuns) -> None:
    file = file_of(stored.lab, stored.ids[UNTRACED])
    assert check(file) == {}
    assert "not traced" in file["otherData"]["trace"]


def test_a_recording_is_deleted_with_its_run(lab: LabProcess) -> None:
    id = lab.run(model="reactor", plan=light(trace=True))["id"]
    file = lab.data_dir / "traces" / f"run-{id}.trace"
    assert file.stat().st_size > 100
    assert lab.http.delete(f"/api/v1/runs/{id}").status_code == 204
    assert not file.exists()
    assert_problem(lab.http.get(f"/api/v1/runs/{id}/perfetto"), 404)


@pytest.mark.parametrize(("model", "reason"), [("prefork", "was deleted"), (UNTRACED, "not traced")])
def test_the_recording_of_another_run_is_ignored(stored: StoredRuns, model: str, reason: str) -> None:
    folder, id = stored.lab.data_dir / "traces", stored.ids[model]
    mine, own = folder / f"run-{id}.trace", folder / "own"
    if mine.exists():
        mine.rename(own)
    try:  # as if the database had been replaced but not the traces
        shutil.copy(folder / f"run-{stored.ids['blocking']}.trace", mine)
        file = file_of(stored.lab, id)
    finally:
        mine.unlink()
        if own.exists():
            own.rename(mine)
    assert check(file) == {} and reason in file["otherData"]["trace"]


def test_lost_cut_and_untraced_parts_are_reported(stored: StoredRuns) -> None:
    id = stored.ids["blocking"]
    recording = Recording.unpack((stored.lab.data_dir / "traces" / f"run-{id}.trace").read_bytes())
    recording.cuts = [[recording.from_ns + ms * 1_000_000 for ms in (1500, 2250)]]
    recording.untraced = 36
    next(iter(recording.lanes.values())).lost = 7
    run = stored.lab.get(f"/runs/{id}")
    view = type("View", (), {**run, "marks": (), "legs": (1, 2)})
    file = json.loads(perfetto.write(view, stored.lab.get(f"/runs/{id}/series"), recording))  # type: ignore[arg-type]
    assert file["otherData"]["lost"] == 7
    assert file["otherData"]["only"].endswith(f"{run['engine']} was recorded.")
    assert "from 1.500 to 2.250 s" in file["otherData"]["cut"] and file["otherData"]["untraced"].endswith(
        "not in this file: 36."
    )
