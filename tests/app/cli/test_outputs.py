"""The shell's outputs: checked before a run, which may be long.

A failure after it costs no report and no exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from app.cli import remote
from app.errors import NotNow
from app.settings import Settings
from app.store.runs import RunStore
from app.web.authentication import new_token
from tests.app.driver import THREADLAB, Command, LabProcess, threadlab

RUN = (
    "run",
    "reactor",
    "--executor",
    "constant-arrival-rate",
    "--rate",
    "100",
    "--vus",
    "4",
    "--duration",
    "0.5",
    "--warmup",
    "0",
)


def runs_kept(data_dir: Path) -> int:
    store = RunStore(Settings(data_dir=data_dir).database)
    try:
        return store.count()
    finally:
        store.close()


@pytest.mark.parametrize(
    ("flag", "file", "reason"),
    [
        ("--json", "{tmp}/none/run.json", "its directory does not exist"),
        ("--json", "{tmp}", "it is a directory"),
    ],
)
@pytest.mark.parametrize(
    "words", [RUN, ("compare", "reactor", "blocking"), ("demo",)], ids=lambda words: words[0]
)
def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    flag: str, file: str, reason: str, words: tuple[str, ...], tmp_path: Path, command: Command
) -> None:
    done = command(*words, flag, file.format(tmp=tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr and flag in done.stderr
    assert runs_kept(tmp_path) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_write_permission_is_refused_before_the_run(
    tmp_path: Path, command: Command
) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    for flag in ("--json", "--csv", "--junit", "--html", "--perfetto"):
        done = command(*RUN, flag, str(shut / "file"))
        assert done.returncode == 2 and "its directory is not writable" in done.stderr
    shut.chmod(0o000)
    done = command(*RUN, "--json", str(shut / "file"))
    assert done.returncode == 2 and f"cannot write {shut / 'file'}: Permission denied." in done.stderr
    assert runs_kept(tmp_path) == 0


@pytest.mark.parametrize("words", [RUN, ("demo",)], ids=lambda words: words[0])
def test_a_file_name_that_is_too_long_is_refused_before_the_run(
    words: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    done = command(*words, "--json", str(tmp_path / ("x" * 300)))
    assert (done.returncode, done.stdout) == (2, "") and "File name too long." in done.stderr


def test_a_full_disk_is_reported_after_the_result(tmp_path: Path, command: Command) -> None:
    done = command(*RUN, "--json", "/dev/full")
    assert done.returncode == 1 and "Verdict:" in done.stdout
    assert (
        done.stderr.splitlines()[-1] == "threadlab: --json: cannot write /dev/full: No space left on device."
    )
    breached = command(*RUN, "--threshold", "rate>9999999", "--json", "/dev/full")
    assert breached.returncode == 3, "what the run came to is said first"


@pytest.mark.parametrize(
    ("redirected", "code"),
    [("| true", 0), (">&-", 0), ("2>&-", 0), (">/dev/full", 1), ("2>/dev/full", 0), ("<&- >&- 2>&-", 0)],
)
def test_a_stream_that_cannot_be_written_does_not_change_the_exit_code(
    redirected: str, code: int, tmp_path: Path
) -> None:
    shell = f"set -o pipefail; {THREADLAB} models {redirected}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True,
        text=True,
        env={**os.environ, "THREADLAB_DATA_DIR": str(tmp_path)},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_an_ascii_terminal_shows_a_question_mark_for_a_dash_and_no_traceback(tmp_path: Path) -> None:
    env = {"THREADLAB_DATA_DIR": str(tmp_path), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = threadlab(*RUN, env=env)
    assert done.returncode == 0, done.stderr
    assert "Verdict:" in done.stdout and "Traceback" not in done.stderr


class _Stranger(BaseHTTPRequestHandler):
    """Answers as something that is no lab, and notes what it was asked."""

    body = b'{"hello": "world"}'
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        type(self).asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def stranger(body: bytes = _Stranger.body) -> Iterator[tuple[str, list[str]]]:
    """A web server that is no lab: its URL, and what it was asked for."""
    asked: list[str] = []
    kind = type("Stranger", (_Stranger,), {"body": body, "asked": asked})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "body", [b'{"hello": "world"}', b"<!doctype html><title>x</title>", b"[]", b"null", b"\xff\xfe"]
)
@pytest.mark.parametrize("words", [RUN, ("compare", "reactor"), ("demo",)], ids=lambda words: words[0])
def test_a_server_that_is_not_a_lab_is_an_error(
    body: bytes, words: tuple[str, ...], command: Command
) -> None:
    with stranger(body) as (url, _):
        done = command(*words, "--server", url)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert done.stderr.startswith("threadlab: ") and "Traceback" not in done.stderr


def test_nothing_for_this_machine_goes_through_a_proxy(
    lab: LabProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would receive the token, and it is not there where `localhost` is."""
    monkeypatch.setenv("THREADLAB_TOKEN", new_token())
    monkeypatch.delenv("no_proxy", raising=False)
    with stranger() as (proxy, asked):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        for url in (lab.url, lab.url.replace("127.0.0.1", "localhost")):
            assert "reactor" in remote.get_models(url)
        assert asked == []
        with pytest.raises(NotNow):
            remote.get_models("http://lab.example:8000")
        assert [line.split()[0] for line in asked] == ["http://lab.example:8000/api/v1/models"]


def test_the_proxy_of_the_environment_is_used_as_other_programs_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`no_proxy` names what is reached without it, its scheme may be left out, and ALL_PROXY is not used."""
    with stranger() as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy.removeprefix("http://"))
        with pytest.raises(NotNow):
            remote.get_models("http://lab.example:8000")
        assert len(asked) == 1
        monkeypatch.setenv("no_proxy", "lab.example")
        with pytest.raises(NotNow):
            remote.get_models("http://lab.example:8000")
        monkeypatch.delenv("http_proxy")
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
        with pytest.raises(NotNow, match=r"no lab at http://other\.example"):
            remote.get_models("http://other.example:8000")
        assert len(asked) == 1


@pytest.mark.parametrize("server", ["http://", "http://a b/", "http://lab:x", "http://[::"])
def test_what_is_no_url_of_a_server_is_a_sentence(server: str, command: Command) -> None:
    done = command(*RUN, "--server", server)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("threadlab: There is no lab at") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("server", ["foo", "lab:8000", "ftp://lab", ""])
@pytest.mark.parametrize(
    "words",
    [RUN, ("compare",), ("demo",), ("import", "/dev/null", "--tool", "wrk")],
    ids=lambda words: words[0],
)
def test_a_server_of_another_scheme_than_http_is_a_bad_argument(
    server: str, words: tuple[str, ...], command: Command
) -> None:
    done = command(*words, "--server", server)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "threadlab: --server must begin with http:// or https://.\n"


def test_json_of_a_run_is_the_only_thing_on_stdout(command: Command) -> None:
    done = command(*RUN, "--json", "-")
    assert json.loads(done.stdout)["state"] == "finished"
