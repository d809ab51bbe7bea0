"""Where the history cannot take a result: that is told, costs what could not be saved, and the next one goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.lab.events import Event, Events
from app.store.runs import RunStore

from .driver import LabMaker, LabProcess, is_problem, plan, threadlab

SHORT = plan(0.5, 0, executor="constant-arrival-rate", rate_per_s=100)
SAID = "The result could not be saved: database or disk is full."


@contextmanager
def full(lab: LabProcess, table: str, when: str = "UPDATE", what: str = "NEW.state = 'finished'") -> Iterator[None]:
    """The history refuses what has finished, or something else, with the words of a full disk."""
    with closing(sqlite3.connect(lab.data_dir / "threadlab.sqlite3")) as database:
        database.execute(
            f"CREATE TRIGGER full BEFORE {when} ON {table} WHEN {what} "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        database.commit()
        yield
        database.execute("DROP TRIGGER full")
        database.commit()


def test_a_run_that_cannot_be_saved_failed_and_the_next_one_goes(make_lab: LabMaker, tmp_path: Path) -> None:
    lab = make_lab(data_dir=tmp_path)
    with full(lab, "runs"):
        lost = lab.run(model="reactor", plan=SHORT)
    assert (lost["state"], lost["failure"], lost["verdict"]["rankable"]) == ("failed", SAID, False)
    assert lost["summary"]["requests"] > 0, "what was measured is still said"
    assert [(run["id"], run["state"]) for run in lab.get("/runs")] == [(lost["id"], "failed")]
    assert any(event["text"].endswith(SAID) for event in lab.get("/events"))
    assert lab.run(model="reactor", plan=SHORT)["state"] == "finished"
    with closing(RunStore(f"sqlite:///{tmp_path / 'threadlab.sqlite3'}")) as store:
        kept = store.get(lost["id"])
    assert kept and (kept.state, kept.failure) == ("failed", SAID), "as soon as there was room again"


def test_a_comparison_that_cannot_be_saved_failed_and_the_next_one_goes(lab: LabProcess) -> None:
    with full(lab, "comparisons"):
        lost = lab.compare(["reactor"], plan=SHORT)
    assert (lost["state"], lost["failure"]) == ("failed", SAID)
    assert lab.compare(["reactor"], plan=SHORT)["state"] == "finished"
    assert [each["state"] for each in lab.get("/comparisons")] == ["finished", "failed"]


def test_a_trace_that_cannot_be_saved_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("no folder")
    env = {"THREADLAB_DATA_DIR": str(tmp_path)}
    ended = threadlab("run", "reactor", "--duration", "0.5", "--warmup", "0", "--trace", env=env)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
    assert "The recorded trace could not be saved: " in ended.stdout and "answered" in ended.stdout


def test_a_turn_that_cannot_be_had_fails_the_run_and_not_the_queue(make_lab: LabMaker, tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()
    lab = make_lab(data_dir=tmp_path)
    assert "directory" in lab.run(model="reactor", plan=SHORT)["failure"]
    (tmp_path / "run.lock").rmdir()
    assert lab.run(model="reactor", plan=SHORT)["state"] == "finished"


def test_a_listener_that_fails_stops_neither_the_teller_nor_the_others() -> None:
    def fails(_: Event) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    events, heard = Events(), list[Event]()
    events.listen(fails)
    events.listen(heard.append)
    told = Event("run.finished", None, "reactor", 1, "Run 1 finished: Server-bound")
    events.tell(told)
    assert heard == [told]


def test_what_cannot_be_kept_is_not_queued_and_that_is_said(lab: LabProcess) -> None:
    before = [run["id"] for run in lab.get("/runs")]
    ids = [lab.start(model)["id"] for model in ("reactor", "blocking")]
    with full(lab, "runs", "INSERT", f"(SELECT count(*) FROM runs) > {len(before)}"):
        said = is_problem(lab.post("/runs", {"engines": ids, "plan": SHORT}), 500)
    assert said == "Nothing was queued, for it could not be saved: database or disk is full."
    with full(lab, "comparisons", "INSERT", "1"):
        assert is_problem(lab.post("/comparisons", {"models": ["reactor"], "plan": SHORT}), 500) == said
    assert [run["id"] for run in lab.get("/runs")] == before, "not the first of two either"


def test_a_label_that_cannot_be_kept_is_refused_in_words(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=SHORT)["id"]
    with full(lab, "runs"):
        refused = lab.http.patch(f"/api/v1/runs/{run}", json={"label": "kept"})
        page = lab.http.post(f"/runs/{run}/label", data={"label": "kept"})
    assert is_problem(refused, 500).endswith("database or disk is full.")
    assert page.status_code == 500 and "database or disk is full." in page.text
    assert lab.get(f"/runs/{run}")["label"] is None
