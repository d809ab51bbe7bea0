"""A history of any earlier version opens with all its data; any other file is refused and left unchanged."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
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
from tests.app.stored_runs import VIEW

NEWEST = migrate.revisions()[-1]
COLUMNS = "finished_at, scenario, verdict, rankable, comparison, rate_per_s, p99_us, cpu_us, words"
# A row for each later table, by the migration that created it.
LATER = {
    "0003": (
        "comparisons",
        "INSERT INTO comparisons VALUES (3, 'finished', '2026-11-01', 'gone', '{}', NULL)",
    ),
    "0005": (
        "experiments",
        "INSERT INTO experiments VALUES (5, 'finished', '2026-11-01', 'gone', 'a-claim', 'holds', '{}')",
    ),
    "0006": ("tunings", "INSERT INTO tunings VALUES (6, 'finished', '2026-11-01', 'gone', '{}')"),
    "0004": ("foreign_results", "INSERT INTO foreign_results VALUES (4, 7, 'wrk', '2026-11-01', '{}', 'x')"),
}
# The schema of version 0.1.0.
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
FINISHED = VIEW | {"id": 7, "label": "Before Ärger"}
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
    """A history of version 0.1.0 with a finished run and a queued one."""
    file = tmp_path / "threadlab.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.executescript(DDL)
        for view in (FINISHED, QUEUED):
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


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(sql).fetchall()


def schema(file: Path) -> dict[str, Any]:
    """Return columns and indexes of every table by its name."""
    tables = sorted(name for (name,) in query(file, "SELECT name FROM sqlite_master WHERE type = 'table'"))
    return {
        name: (
            sorted(row[1:] for row in query(file, f"PRAGMA table_info({name})")),
            sorted(row[1:] for row in query(file, f"PRAGMA index_list({name})")),
        )
        for name in tables
    }


def test_an_old_history_opens_with_its_runs(old: Path) -> None:
    with opened(old) as store:
        kept = store.get(7)
        assert [view.id for view in store.newest()] == [9, 7]
    assert kept and kept.label == "Before Ärger" and kept.summary and kept.summary.achieved_per_s == 1000.5
    assert query(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


def test_an_old_run_can_be_commented_on(old: Path) -> None:
    """The comment is in the view, so that it needs no migration."""
    with opened(old) as store:
        kept = store.get(7)
        assert kept and kept.comment is None
        store.save(replace(kept, comment="Later"))
    with opened(old) as store:
        assert store.get(7) == replace(kept, comment="Later")


def test_the_columns_of_old_runs_are_filled(old: Path) -> None:
    filled = f"SELECT {COLUMNS} FROM runs ORDER BY id"
    with opened(old) as store:
        before = query(old, filled)
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
    assert query(old, filled) == before, "the migration fills them as the store does"


@pytest.mark.full
@pytest.mark.parametrize("revision", migrate.revisions())
def test_a_history_of_every_version_opens_with_all_its_data(old: Path, tmp_path: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        migrate._write_revision(connection, migrate.BEFORE_ALEMBIC)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrate.MIGRATIONS))
        command.upgrade(config, revision)
        later = [row for migration, row in LATER.items() if migration <= revision]
        for _, insert in later:
            connection.exec_driver_sql(insert)
    engine.dispose()
    assert query(old, "SELECT version_num FROM alembic_version") == [(revision,)]
    kept = {table: query(old, f"SELECT * FROM {table}") for table, _ in later}
    with opened(old) as store, opened(tmp_path / "new.sqlite3"):
        run = store.get(7)
        assert run and (run.label, [view.id for view in store.newest()]) == ("Before Ärger", [9, 7])
    assert {table: query(old, f"SELECT * FROM {table}") for table, _ in later} == kept
    assert "before ärger" in query(old, "SELECT words FROM runs WHERE id = 7")[0][0]
    assert query(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
    assert schema(old) == schema(tmp_path / "new.sqlite3")


def test_the_migration_tests_cover_every_table() -> None:
    assert {"runs", *(table for table, _ in LATER.values())} == set(Base.metadata.tables)


def test_ids_are_not_reused_after_the_migrations(old: Path) -> None:
    with opened(old) as store:
        view = store.get(9)
        assert view and store.delete(9)
        assert store.add(view).id == 10


def test_a_migrated_history_has_the_schema_of_the_code(old: Path, tmp_path: Path) -> None:
    with opened(old), opened(tmp_path / "new.sqlite3"):
        pass
    engine = create_engine(f"sqlite:///{old}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
    assert schema(old) == schema(tmp_path / "new.sqlite3")


def test_all_migrations_give_the_same_schema_as_a_new_history(tmp_path: Path) -> None:
    """A new history is created without migrations, which is faster; the schema must be the same."""
    stepwise = tmp_path / "stepwise.sqlite3"
    engine = create_engine(f"sqlite:///{stepwise}")
    with engine.begin() as connection:
        migrate.run_migrations(connection)
    engine.dispose()
    with opened(tmp_path / "new.sqlite3"):
        pass
    assert schema(stepwise) == schema(tmp_path / "new.sqlite3")


def test_each_migration_has_the_revision_of_its_file_name() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    migrations = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [migration.revision for migration in reversed(migrations)] == migrate.revisions()
    assert [migration.down_revision for migration in reversed(migrations)] == [
        None,
        *migrate.revisions()[:-1],
    ]


def test_a_current_history_opens_without_alembic(tmp_path: Path) -> None:
    twice = (
        "import sys; from app.store.runs import RunStore\n"
        "for _ in range(2): RunStore(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", twice, f"sqlite:///{tmp_path}/threadlab.sqlite3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"], "neither to create nor to open it"


def test_a_newer_history_is_refused_in_one_sentence(old: Path) -> None:
    with opened(old):
        pass
    with contextlib.closing(sqlite3.connect(old)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(old)
    done = threadlab("serve", "--port", "0", "--data-dir", str(old.parent))
    assert (done.returncode, done.stdout) == (1, "")
    assert "newer version of the lab" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert dump(old) == before


def test_a_file_that_is_not_a_history_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "threadlab.sqlite3"
    file.write_text("not a database, but long enough to be read as a header of one" * 9)
    before = file.read_bytes()
    (tmp_path / "wrk").write_text(WRK)
    monkeypatch.setenv("THREADLAB_DATA_DIR", str(tmp_path))
    assert main(["import", str(tmp_path / "wrk"), "--tool", "wrk", "--run", "1"]) == 1
    output = capsys.readouterr()
    assert "cannot be opened" in output.err and len(output.err.strip().splitlines()) == 1 and output.out == ""
    assert file.read_bytes() == before


def test_a_failed_migration_leaves_the_history_unchanged(old: Path, tmp_path: Path) -> None:
    shutil.copytree(migrate.MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "r9999_breaks.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{NEWEST}'\n"
        "def upgrade():\n"
        "    op.drop_column('runs', 'series')\n"
        "    op.execute('DELETE FROM runs')\n    1 / 0\n"
    )
    before = dump(old)
    engine = create_engine(f"sqlite:///{old}")
    with pytest.raises(ZeroDivisionError):
        migrate.upgrade_database(engine, tmp_path / "migrations")
    engine.dispose()
    assert dump(old) == before
    with opened(old) as store:
        assert store.get(7)


OPENER = """
import sys
from app.store.runs import RunStore
print("started", flush=True)
sys.stdin.readline()
store = RunStore(sys.argv[1])
print(store.count())
store.close()
"""


@pytest.mark.full
@pytest.mark.parametrize("fresh", [False, True], ids=["old", "new"])
def test_processes_can_open_a_history_at_the_same_time(old: Path, fresh: bool) -> None:
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
        assert each.stdout and each.stdout.readline() == "started\n"
    for each in openers:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    for out, err in [each.communicate(timeout=60) for each in openers]:
        assert (out, err) == ("0\n" if fresh else "2\n", "")
    assert query(old, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be opened"):
        RunStore(f"sqlite:///{tmp_path}/file/threadlab.sqlite3")
