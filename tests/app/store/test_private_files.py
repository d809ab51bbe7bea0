"""Other users of this machine cannot read the history, the token or the operator's environment."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from app.fleet.models import EnginesUnavailable, Models
from app.machine.child_environment import PASSED_NAMES, PASSED_PREFIXES, child_environment
from app.settings import Settings
from app.store import private_files
from app.store.comparisons import ComparisonStore
from app.store.runs import RunStore
from app.web.authentication import new_token
from tests.app.driver import THREADLAB, Command, LabProcess, endless, generators, until
from tests.app.stored_runs import stored_run
from tests.waiting import BOUND_S

TRACE = b"a trace"
SECRETS = {"THREADLAB_TOKEN": new_token(), "AWS_SECRET_ACCESS_KEY": "s3cret", "THREADLAB_MAX_RATE": "5000"}


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_store(data_dir: Path) -> RunStore:
    return RunStore(Settings(data_dir=data_dir).database, data_dir / "traces")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(data_dir: Path) -> dict[str, str]:
    return {str(path.relative_to(data_dir)): oct(mode(path)) for path in data_dir.rglob("*")}


FILES = (
    "open.lock",
    "threadlab.sqlite3",
    "threadlab.sqlite3-shm",
    "threadlab.sqlite3-wal",
    "traces/run-1.trace",
)
PRIVATE = {**dict.fromkeys(FILES, "0o600"), "traces": "0o700"}


# The data directory


def test_a_new_history_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    with (
        closing(open_store(data_dir)) as store,
        closing(ComparisonStore(Settings(data_dir=data_dir).database)),
    ):
        store.save_trace(store.add(stored_run()).id, TRACE)
        assert modes(data_dir) == PRIVATE
        assert mode(data_dir) == 0o700


def test_an_existing_history_is_restricted_to_its_owner_when_it_is_opened(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        store.save_trace(store.add(stored_run()).id, TRACE)
        for path in tmp_path.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        tmp_path.chmod(0o755)
        with closing(open_store(tmp_path)):
            assert modes(tmp_path) == PRIVATE | {"traces": "0o755"}
            assert mode(tmp_path) == 0o755, "an existing folder may be shared on purpose"
            store.save_trace(1, TRACE)
            assert modes(tmp_path) == PRIVATE | {"traces": "0o755"}


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o600), (0o400, 0o400), (0o666, 0o600), (0o440, 0o400)]
)
def test_only_the_permissions_of_others_are_removed(before: int, after: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(before)
    private_files.restrict_to_owner(file)
    assert mode(file) == after
    private_files.restrict_to_owner(tmp_path / "none")
    tmp_path.chmod(0o755)
    private_files.restrict_to_owner(tmp_path)
    assert mode(tmp_path) == 0o755, "folders are not changed"


def test_traces_are_private_where_the_database_is_elsewhere(tmp_path: Path) -> None:
    url, data_dir = f"sqlite:///{tmp_path / 'other' / 'x.sqlite3'}", tmp_path / "data"
    with closing(RunStore(url, data_dir / "traces")) as store:
        store.save_trace(1, TRACE)
    assert (mode(data_dir), mode(data_dir / "traces")) == (0o700, 0o700)
    assert mode(data_dir / "traces" / "run-1.trace") == 0o600


def test_opening_a_history_again_keeps_the_locks_of_sqlite(tmp_path: Path) -> None:
    """POSIX drops all locks that a process has on a file as soon as it closes any descriptor of it."""

    def locks() -> int:
        inode = f":{(tmp_path / 'threadlab.sqlite3').stat().st_ino} "
        return sum(
            inode in line and f" {os.getpid()} " in line
            for line in Path("/proc/locks").read_text().splitlines()
        )

    with closing(open_store(tmp_path)) as store:
        store.add(stored_run())
        held = locks()
        assert held > 0
        with closing(open_store(tmp_path)):
            assert locks() >= held


# The environment of child processes


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs if pair)


def assert_no_secrets(environment: dict[str, str]) -> None:
    assert environment["PATH"] == os.environ["PATH"]
    assert {
        name for name in environment if name not in PASSED_NAMES and not name.startswith(PASSED_PREFIXES)
    } == set()
    assert not set(environment) & set(SECRETS) and not set(environment.values()) & set(SECRETS.values())


@pytest.fixture
def secrets_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_engines_and_generators_do_not_inherit_the_environment_of_the_lab(
    tmp_path: Path, secrets_in_environment: None
) -> None:
    with closing(LabProcess(tmp_path)) as lab:
        lab.http.headers["Authorization"] = f"Bearer {SECRETS['THREADLAB_TOKEN']}"
        engine = lab.start("prefork", processes=1)
        id = lab.submit(model="reactor", plan=endless())["id"]
        lab.wait_measuring(id)
        others = lab.child_pids()
        assert engine["pid"] in others and len(generators(others)) == 1
        for pid in others:
            assert_no_secrets(environment_of(pid))
        lab.stop(id)


def test_the_command_that_describes_the_models_gets_no_secret(
    tmp_path: Path, secrets_in_environment: None
) -> None:
    python, environment = tmp_path / "python", tmp_path / "environment"
    python.write_text(f"#!/bin/sh\ncat /proc/$$/environ > '{environment}'\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(EnginesUnavailable):
        Models.load(str(python))
    assert_no_secrets(dict(pair.partition("=")[::2] for pair in environment.read_text().split("\0") if pair))


def test_an_engine_in_the_foreground_gets_no_secret(secrets_in_environment: None) -> None:
    argv = [THREADLAB, "engine", "reactor", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            assert_no_secrets(environment_of(process.pid))
            process.send_signal(signal.SIGTERM)
            assert process.wait(BOUND_S) == 0
        finally:
            process.kill()


def test_a_child_gets_the_variables_that_it_needs() -> None:
    passed = {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "TZ": "UTC",
        "TMPDIR": "/tmp",
        "PYTHONPATH": "/x",
        "LD_LIBRARY_PATH": "/lib",
        "VIRTUAL_ENV": "/v",
        "COVERAGE_PROCESS_START": "x",
        "MALLOC_ARENA_MAX": "2",
        "THREADLAB_MODELS": "/models",
        "THREADLAB_TEST_MARK": "m",
    }
    others = {
        "THREADLAB_TOKEN_FILE": "/t",
        "THREADLAB_DATABASE_URL": "pg://u:p@h/d",
        "GITHUB_TOKEN": "x",
        "PGPASSWORD": "x",
    }
    assert child_environment(passed | others | SECRETS) == passed


# The token


def token_file(tmp_path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    file = tmp_path / "token"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(mode)
    return file


def serve(command: Command, *flags: str) -> str:
    """Run `serve` on a port in use, so that it ends, and return its stderr."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = command("serve", "--port", str(listener.getsockname()[1]), *flags)
    assert done.returncode in (1, 2) and done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nanother line\n"])
def test_the_first_line_of_the_file_is_the_token(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token()
    file = token_file(tmp_path, token + ending)
    assert Settings(token_file=file).token == token
    assert Settings(token_file=file, host="0.0.0.0").token == token, "also for an exposed lab"
    monkeypatch.setenv("THREADLAB_TOKEN_FILE", str(file))
    assert Settings().token == token
    monkeypatch.setenv("THREADLAB_TOKEN_FILE", "")
    assert (Settings().token, Settings().token_file) == ("", None)


def test_a_lab_with_a_token_file_requires_that_token(tmp_path: Path) -> None:
    token = new_token()
    file = token_file(tmp_path, token + "\n")
    with closing(LabProcess(tmp_path / "data", "--token-file", str(file))) as lab:
        assert lab.post("/engines", {"model": "reactor"}).status_code == 401
        lab.http.headers["Authorization"] = f"Bearer {token}"
        assert lab.get("/engines") == []
        assert until(lambda: "token" not in lab.errors(), "the token is not logged")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("\n" + "a" * 64, "is empty"),
        ("short\n", "128 bits"),
        ("x " * 40, "128 bits"),
        (b"\xff" * 64, "128 bits"),
        (b"\0" * 10_000, "128 bits"),
    ],
    ids=["empty", "second line", "short", "spaces", "not ASCII", "zeros"],
)
def test_a_file_without_a_good_token_is_refused_and_not_quoted(
    text: str | bytes, word: str, tmp_path: Path, command: Command
) -> None:
    stderr = serve(command, "--token-file", str(token_file(tmp_path, text)))
    assert stderr.startswith("threadlab: token_file:") and word in stderr and stderr.count("\n") == 1
    assert "short" not in stderr.replace(str(tmp_path), "")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, command: Command) -> None:
    assert "No such file" in serve(command, "--token-file", str(tmp_path / "none"))
    assert "Is a directory" in serve(command, "--token-file", str(tmp_path))


def test_a_token_and_a_token_file_together_are_refused(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, token = token_file(tmp_path, new_token()), new_token()
    assert "both given" in serve(command, "--token-file", str(file), "--token", token)
    monkeypatch.setenv("THREADLAB_TOKEN", token)
    stderr = serve(command, "--token-file", str(file))
    assert "both given" in stderr and token not in stderr


def warnings(stderr: str) -> Sequence[str]:
    return [line for line in stderr.splitlines() if "cannot listen" not in line]


def test_a_token_on_the_command_line_causes_a_warning(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token()
    (warning,) = warnings(serve(command, "--token", token))
    assert "THREADLAB_TOKEN" in warning and "--token-file" in warning and token not in warning
    monkeypatch.setenv("THREADLAB_TOKEN", token)
    assert warnings(serve(command)) == []


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, True), (0o444, True)])
def test_a_token_file_that_others_may_read_causes_a_warning(
    mode: int, is_open: bool, tmp_path: Path, command: Command
) -> None:
    """It is not an error: secrets of containers often have mode 0444 in a file system of their own."""
    lines = warnings(serve(command, "--token-file", str(token_file(tmp_path, new_token(), mode))))
    assert ["chmod 600" in warning for warning in lines] == [True] * is_open
