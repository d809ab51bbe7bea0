"""A result that cannot be saved: that is reported, only this result is lost, and the next run is carried out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from app.cli import run_report
from app.events import Event, Events
from app.lab import Lab
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.store.runs import RunStore
from tests.app.driver import LabProcess, assert_problem, light, run_in_lab
from tests.waiting import BOUND_S

SHORT = light()
SAID = "The result could not be saved: database or disk is full."


@contextmanager
def full(
    lab: LabProcess, table: str, when: str = "UPDATE", what: str = "NEW.state = 'finished'"
) -> Iterator[None]:
    """The history refuses what has finished, or something else, with the words of a full disk."""
    with closing(sqlite3.connect(lab.data_dir / "threadlab.sqlite3", timeout=BOUND_S)) as database:
        database.execute(
            f"CREATE TRIGGER full BEFORE {when} ON {table} WHEN {what} "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        database.commit()
        try:
            yield
        finally:
            database.execute("DROP TRIGGER full")
            database.commit()


def test_a_run_that_cannot_be_saved_failed_and_the_next_one_is_carried_out(lab: LabProcess) -> None:
    with full(lab, "runs"):
        lost = lab.run(model="reactor", plan=SHORT)
    assert (lost["state"], lost["failure"], lost["verdict"]["rankable"]) == ("failed", SAID, False)
    assert lost["summary"]["requests"] == 50, "what was measured is still shown"
    assert [(run["id"], run["state"]) for run in lab.get("/runs?limit=1")] == [(lost["id"], "failed")]
    assert any(event["run"] == lost["id"] and event["text"].endswith(SAID) for event in lab.get("/events"))
    assert lab.run(model="reactor", plan=SHORT)["state"] == "finished"
    with closing(RunStore(f"sqlite:///{lab.data_dir / 'threadlab.sqlite3'}")) as store:
        kept = store.get(lost["id"])
    assert kept and (kept.state, kept.failure) == ("failed", SAID), "as soon as there was room again"


def test_a_comparison_that_cannot_be_saved_failed_and_the_next_one_is_carried_out(lab: LabProcess) -> None:
    with full(lab, "comparisons"):
        lost = lab.compare(["reactor"], plan=SHORT)
    assert (lost["state"], lost["failure"]) == ("failed", SAID)
    assert lab.compare(["reactor"], plan=SHORT)["state"] == "finished"
    assert [each["state"] for each in lab.get("/comparisons?limit=2")] == ["finished", "failed"]


async def one_run(lab: Lab, **asked: Any) -> RunView:
    return await lab.runs.finished((await lab.runs.submit(RunRequest(model="reactor", **asked))).id)


def test_a_trace_that_cannot_be_saved_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("no folder")
    ended = run_in_lab(tmp_path, lambda lab: one_run(lab, plan=light(trace=True)))
    assert ended.state == "finished" and run_report.exit_code(ended, None) == 0
    assert any(note.startswith("The thread trace could not be saved: ") for note in ended.notes)
    words = "\n".join(run_report.lines(ended))
    assert "The thread trace could not be saved: " in words and "50 answered" in words


def test_a_lock_that_cannot_be_had_fails_the_run_and_not_the_queue(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()

    async def play(lab: Lab) -> None:
        assert "directory" in ((await one_run(lab, plan=SHORT)).failure or "")
        (tmp_path / "run.lock").rmdir()
        assert (await one_run(lab, plan=SHORT)).state == "finished"

    run_in_lab(tmp_path, play)


def test_a_listener_that_fails_stops_neither_the_sender_nor_the_others() -> None:
    def fails(_: Event) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    events, heard = Events(), list[Event]()
    events.subscribe(fails)
    events.subscribe(heard.append)
    told = Event("run.finished", None, "reactor", 1, "Run 1 finished: Server-bound")
    events.publish(told)
    assert heard == [told]


def runs_of(lab: LabProcess) -> tuple[int, Any]:
    """How many runs the history has, and the newest."""
    answer = lab.http.get("/api/v1/runs?limit=1")
    return int(answer.headers["X-Total-Count"]), answer.json()


def test_what_cannot_be_saved_is_not_queued_and_that_is_reported(lab: LabProcess) -> None:
    before = runs_of(lab)
    ids = [lab.start(model)["id"] for model in ("reactor", "blocking")]
    with full(lab, "runs", "INSERT", f"(SELECT count(*) FROM runs) > {before[0]}"):
        said = assert_problem(lab.post("/runs", {"engines": ids, "plan": SHORT}), 500)
    assert said == "The run was not queued: it could not be saved (database or disk is full)."
    with full(lab, "comparisons", "INSERT", "1"):
        assert assert_problem(
            lab.post("/comparisons", {"models": ["reactor"], "plan": SHORT}), 500
        ) == said.replace("run", "comparison")
    assert runs_of(lab) == before, "not the first of two either"


def test_a_label_that_cannot_be_saved_is_refused_in_words(lab: LabProcess) -> None:
    run = lab.stop(lab.submit(model="reactor", plan=light(590))["id"])["id"]
    with full(lab, "runs", what="NEW.state = 'stopped'"):
        refused = lab.http.patch(f"/api/v1/runs/{run}", json={"label": "kept"})
        page = lab.http.post(f"/runs/{run}/label", data={"label": "kept"})
    assert assert_problem(refused, 500).endswith("database or disk is full.")
    assert page.status_code == 500 and "database or disk is full." in page.text
    assert lab.get(f"/runs/{run}")["label"] is None
