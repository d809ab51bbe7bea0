"""A result that cannot be saved: it is reported, no other result is lost, and the next run is carried out."""

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
NOT_SAVED = "The result could not be saved: database or disk is full."


@contextmanager
def full_disk(
    lab: LabProcess, table: str, statement: str = "UPDATE", condition: str = "NEW.state = 'finished'"
) -> Iterator[None]:
    """Make the database refuse the statement on the table under the condition, as on a full disk."""
    with closing(sqlite3.connect(lab.data_dir / "threadlab.sqlite3", timeout=BOUND_S)) as database:
        database.execute(
            f"CREATE TRIGGER full_disk BEFORE {statement} ON {table} WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        database.commit()
        try:
            yield
        finally:
            database.execute("DROP TRIGGER full_disk")
            database.commit()


def test_a_run_that_cannot_be_saved_fails_and_the_next_one_is_carried_out(lab: LabProcess) -> None:
    with full_disk(lab, "runs"):
        lost = lab.run(model="reactor", plan=SHORT)
    assert (lost["state"], lost["failure"], lost["verdict"]["rankable"]) == ("failed", NOT_SAVED, False)
    assert lost["summary"]["requests"] == 50, "the measurement is still shown"
    assert [(run["id"], run["state"]) for run in lab.get("/runs?limit=1")] == [(lost["id"], "failed")]
    assert any(
        event["run"] == lost["id"] and event["text"].endswith(NOT_SAVED) for event in lab.get("/events")
    )
    assert lab.run(model="reactor", plan=SHORT)["state"] == "finished"
    with closing(RunStore(f"sqlite:///{lab.data_dir / 'threadlab.sqlite3'}")) as store:
        kept = store.get(lost["id"])
    assert kept and (kept.state, kept.failure) == ("failed", NOT_SAVED), "saved with the next run"


def test_a_comparison_that_cannot_be_saved_fails_and_the_next_one_is_carried_out(lab: LabProcess) -> None:
    with full_disk(lab, "comparisons"):
        lost = lab.compare(["reactor"], plan=SHORT)
    assert (lost["state"], lost["failure"]) == ("failed", NOT_SAVED)
    assert lab.compare(["reactor"], plan=SHORT)["state"] == "finished"
    assert [each["state"] for each in lab.get("/comparisons?limit=2")] == ["finished", "failed"]


async def finished_run(lab: Lab, **fields: Any) -> RunView:
    return await lab.runs.finished((await lab.runs.submit(RunRequest(model="reactor", **fields))).id)


def test_a_trace_that_cannot_be_saved_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("no folder")
    ended = run_in_lab(tmp_path, lambda lab: finished_run(lab, plan=light(trace=True)))
    assert ended.state == "finished" and run_report.exit_code(ended, None) == 0
    assert any(note.startswith("The thread trace could not be saved: ") for note in ended.notes)
    report = "\n".join(run_report.lines(ended))
    assert "The thread trace could not be saved: " in report and "50 answered" in report


def test_a_lock_file_that_cannot_be_opened_fails_the_run_and_not_the_queue(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()

    async def play(lab: Lab) -> None:
        assert "directory" in ((await finished_run(lab, plan=SHORT)).failure or "")
        (tmp_path / "run.lock").rmdir()
        assert (await finished_run(lab, plan=SHORT)).state == "finished"

    run_in_lab(tmp_path, play)


def test_a_failing_subscriber_does_not_affect_the_publisher_or_other_subscribers() -> None:
    def fails(_: Event) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    events, received = Events(), list[Event]()
    events.subscribe(fails)
    events.subscribe(received.append)
    event = Event("run.finished", None, "reactor", 1, "Run 1 finished: Server-bound")
    events.publish(event)
    assert received == [event]


def runs_of(lab: LabProcess) -> tuple[int, Any]:
    """Return the number of runs in the history, and the newest."""
    answer = lab.http.get("/api/v1/runs?limit=1")
    return int(answer.headers["X-Total-Count"]), answer.json()


def test_a_job_that_cannot_be_saved_is_not_queued_and_the_error_is_reported(lab: LabProcess) -> None:
    before = runs_of(lab)
    ids = [lab.start(model)["id"] for model in ("reactor", "blocking")]
    with full_disk(lab, "runs", "INSERT", f"(SELECT count(*) FROM runs) > {before[0]}"):
        detail = assert_problem(lab.post("/runs", {"engines": ids, "plan": SHORT}), 500)
    assert detail == "The run was not queued: it could not be saved (database or disk is full)."
    with full_disk(lab, "comparisons", "INSERT", "1"):
        assert assert_problem(
            lab.post("/comparisons", {"models": ["reactor"], "plan": SHORT}), 500
        ) == detail.replace("run", "comparison")
    assert runs_of(lab) == before, "not even the first of two concurrent runs"


def test_a_label_that_cannot_be_saved_is_refused_with_the_reason(lab: LabProcess) -> None:
    run = lab.stop(lab.submit(model="reactor", plan=light(590))["id"])["id"]
    with full_disk(lab, "runs", condition="NEW.state = 'stopped'"):
        refused = lab.http.patch(f"/api/v1/runs/{run}", json={"label": "kept"})
        page = lab.http.post(f"/runs/{run}/label", data={"label": "kept"})
    assert assert_problem(refused, 500).endswith("database or disk is full.")
    assert page.status_code == 500 and "database or disk is full." in page.text
    assert lab.get(f"/runs/{run}")["label"] is None
