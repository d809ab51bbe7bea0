"""A history of any age opens with all that is in it, or is refused in a sentence and left as it was."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from app.cli.main import main
from app.errors import LabError
from app.store import migrate
from app.store.runs import RunStore
from app.store.schema import Base
from tests.app.driver import threadlab
from tests.app.imports.test_parsers import WRK
from tests.app.past import VIEW

NEWEST = migrate.revisions()[-1]
COLUMNS = "finished_at, scenario, verdict, rankable, comparison, rate_per_s, p99_us, cpu_us, words"
# A row for each table that came later, by the step that made it.
LATER = {
    "0003": (
        "comparisons",
        "INSERT INTO comparisons VALUES (3, 'finished', '2026-11-01', 'gone', '{}', NULL)",
    ),
    "0004": ("foreign_results", "INSERT INTO foreign_results VALUES (4, 7, 'wrk', '2026-11-01', '{}', 'x')"),
}
# What 0.1.0 made, word for word.
DDL = """
CREATE TABLE runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	state VARCHAR(16) NOT NULL,
	model VARCHAR(64) NOT NULL,
	created_at VARCHAR(32) NOT NULL,
	owner VARCHAR(64) NOT NULL,
	"view" TEXT NOT NULL,
	outcome TEXT,
	series TEXT
);
CREATE INDEX ix_runs_created_at ON runs (created_at);
CREATE INDEX ix_runs_model ON runs (model);
CREATE INDEX ix_runs_state ON runs (state);
"""
OLD = VIEW | {"id": 7, "label": "Before Ärger"}
QUEUED = VIEW | {
    "id": 9,
    "state": "queued",
    "label": None,
    "summary": None,
    "verdict": None,
    "finished_at": None,
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A history that version 0.1.0 wrote, with a run that is over and one that it left in the queue."""
    file = tmp_path / "threadlab.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.executescript(DDL)
        for view in (OLD, QUEUED):
            values = (
                view["id"],
                view["state"],
                "reactor",
                view["created_at"],
                "gone",
                json.dumps(view),
                None,
                None,
            )
            database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    return file


@contextlib.contextmanager
def opened(file: Path) -> Iterator[RunStore]:
    with contextlib.closing(RunStore(f"sqlite:///{file}")) as store:
        yield store


def dump(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def ask(file: Path, question: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(question).fetchall()


def schema(file: Path) -> dict[str, Any]:
    """Columns and indexes of every table, by name."""
    tables = sorted(name for (name,) in ask(file, "SELECT name FROM sqlite_master WHERE type = 'table'"))
    return {
        name: (
            sorted(row[1:] for row in ask(file, f"PRAGMA table_info({name})")),
            sorted(row[1:] for row in ask(file, f"PRAGMA index_list({name})")),
        )
        for name in tables
    }


def test_an_old_history_opens_with_its_runs(old: Path) -> None:
    with opened(old) as store:
        kept = store.get(7)
        assert [view.id for view in store.newest()] == [9, 7]
    assert kept and kept.label == "Before Ärger" and kept.summary and kept.summary.achieved_per_s == 1000.5
    assert ask(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


def test_an_old_run_gets_the_columns_that_lists_are_found_by(old: Path) -> None:
    filled = f"SELECT {COLUMNS} FROM runs ORDER BY id"
    with opened(old) as store:
        before = ask(old, filled)
        for id in (7, 9):
            view = store.get(id)
            assert view
            store.save(view)
    assert before[0][:-1] == (
        "2026-11-01T10:00:12.000Z",
        "sprint",
        "server_bound",
        1,
        None,
        1000.5,
        121.0,
        None,
    )
    assert "before ärger" in before[0][-1] and "idle_s=15" in before[0][-1]
    assert before[1][1:4] == ("sprint", None, None)
    assert ask(old, filled) == before, "the step fills them as the store does"


@pytest.mark.full
@pytest.mark.parametrize("revision", migrate.revisions())
def test_a_history_of_every_version_opens_with_all_that_is_in_it(
    old: Path, tmp_path: Path, revision: str
) -> None:
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        migrate._set_stamp(connection, migrate.BEFORE_ALEMBIC)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrate.MIGRATIONS))
        command.upgrade(config, revision)
        later = [row for step, row in LATER.items() if step <= revision]
        for _, insert in later:
            connection.exec_driver_sql(insert)
    engine.dispose()
    assert ask(old, "SELECT version_num FROM alembic_version") == [(revision,)]
    kept = {table: ask(old, f"SELECT * FROM {table}") for table, _ in later}
    with opened(old) as store, opened(tmp_path / "new.sqlite3"):
        run = store.get(7)
        assert run and (run.label, [view.id for view in store.newest()]) == ("Before Ärger", [9, 7])
    assert {table: ask(old, f"SELECT * FROM {table}") for table, _ in later} == kept
    assert "before ärger" in ask(old, "SELECT words FROM runs WHERE id = 7")[0][0]
    assert ask(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
    assert schema(old) == schema(tmp_path / "new.sqlite3")


def test_every_table_of_today_is_in_the_histories_that_are_migrated() -> None:
    assert {"runs", *(table for table, _ in LATER.values())} == set(Base.metadata.tables)


def test_numbers_are_not_given_again_after_the_steps(old: Path) -> None:
    with opened(old) as store:
        view = store.get(9)
        assert view and store.delete(9)
        assert store.add(view).id == 10


def test_a_migrated_history_is_what_the_code_says(old: Path, tmp_path: Path) -> None:
    with opened(old), opened(tmp_path / "new.sqlite3"):
        pass
    engine = create_engine(f"sqlite:///{old}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
    assert schema(old) == schema(tmp_path / "new.sqlite3")


def test_every_step_from_nothing_gives_the_same_as_making_it_new(tmp_path: Path) -> None:
    """A new history is made without the steps, for that is quicker; it must not matter."""
    stepwise = tmp_path / "stepwise.sqlite3"
    engine = create_engine(f"sqlite:///{stepwise}")
    with engine.begin() as connection:
        migrate.upgrade(connection)
    engine.dispose()
    with opened(tmp_path / "new.sqlite3"):
        pass
    assert schema(stepwise) == schema(tmp_path / "new.sqlite3")


def test_each_step_has_the_number_of_its_file() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [step.revision for step in reversed(steps)] == migrate.revisions()
    assert [step.down_revision for step in reversed(steps)] == [None, *migrate.revisions()[:-1]]


def test_a_history_of_today_opens_without_alembic(tmp_path: Path) -> None:
    twice = (
        "import sys; from app.store.runs import RunStore\n"
        "for _ in range(2): RunStore(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", twice, f"sqlite:///{tmp_path}/threadlab.sqlite3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False", "False"], "neither made nor opened"


def test_a_newer_history_is_refused_in_one_sentence(old: Path) -> None:
    with opened(old):
        pass
    with contextlib.closing(sqlite3.connect(old)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(old)
    said = threadlab("serve", "--port", "0", "--data-dir", str(old.parent))
    assert (said.returncode, said.stdout) == (1, "")
    assert "newer version of the lab" in said.stderr and len(said.stderr.strip().splitlines()) == 1
    assert dump(old) == before


def test_what_is_no_history_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "threadlab.sqlite3"
    file.write_text("not a database, but long enough to be taken for the head of one" * 9)
    before = file.read_bytes()
    (tmp_path / "wrk").write_text(WRK)
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(tmp_path))
    assert main(["import", str(tmp_path / "wrk"), "--tool", "wrk", "--run", "1"]) == 1
    said = capsys.readouterr()
    assert "cannot be opened" in said.err and len(said.err.strip().splitlines()) == 1 and said.out == ""
    assert file.read_bytes() == before


def test_a_step_that_fails_leaves_the_history_as_it_was(old: Path, tmp_path: Path) -> None:
    shutil.copytree(migrate.MIGRATIONS, tmp_path / "steps")
    (tmp_path / "steps" / "versions" / "r9999_breaks.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{NEWEST}'\n"
        "def upgrade():\n    op.drop_column('runs', 'series')\n    op.execute('DELETE FROM runs')\n    1 / 0\n"
    )
    before = dump(old)
    engine = create_engine(f"sqlite:///{old}")
    with pytest.raises(ZeroDivisionError):
        migrate.bring_up_to_date(engine, tmp_path / "steps")
    engine.dispose()
    assert dump(old) == before
    with opened(old) as store:
        assert store.get(7)


OPENER = """
import sys
from app.store.runs import RunStore
print("here", flush=True)
sys.stdin.readline()
store = RunStore(sys.argv[1])
print(store.count())
store.close()
"""


@pytest.mark.full
@pytest.mark.parametrize("fresh", [False, True], ids=["old", "new"])
def test_many_that_open_it_at_once_do_not_clash(old: Path, fresh: bool) -> None:
    if fresh:
        old.unlink()
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, f"sqlite:///{old}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in openers:
        assert each.stdout and each.stdout.readline() == "here\n"
    for each in openers:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    for out, err in [each.communicate(timeout=60) for each in openers]:
        assert (out, err) == ("0\n" if fresh else "2\n", "")
    assert ask(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be opened"):
        RunStore(f"sqlite:///{tmp_path}/file/threadlab.sqlite3")
