"""Every model serves an application of the user: requests and responses by PEP 3333, errors, limits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engines.common.process.threads import EXIT_CRASHED
from tests.engines.conftest import is_model, variants
from tests.engines.driver import HOST, PATIENCE_S, ROOT, Client, Engine, Variant, until

FOLDER = str(Path(__file__).parent)
ARGUMENTS = ("--app", "checked:application", "--app-dir", FOLDER)


@pytest.fixture(params=variants(default=is_model), scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Start each model with the application."""
    engine = Engine(request.param, arguments=ARGUMENTS)
    try:
        yield engine
        assert engine.stop(deadline_s=PATIENCE_S).code == 0
    finally:
        engine.close()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.connect() as client:
        yield client


def environ_of(client: Client, request: bytes) -> dict[str, Any]:
    client.send(request)
    answer = client.answer()
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_it_gets_the_request(engine: Engine, client: Client) -> None:
    fields = b"Cookie: a=1\r\nX-Twice: 1\r\nx-twice:  2 \r\nCookie: b=2\r\nContent-Type: text/x\r\n"
    environ = environ_of(
        client,
        b"PUT /a%20b/%C3%A9?q=%20&r HTTP/1.1\r\n" + HOST + fields + b"Content-Length: 3\r\n\r\nabc",
    )
    expected = {
        **{"REQUEST_METHOD": "PUT", "SCRIPT_NAME": "", "PATH_INFO": "/a b/Ã©", "QUERY_STRING": "q=%20&r"},
        **{"CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "3", "body": "abc", "HTTP_HOST": "engine"},
        **{"HTTP_COOKIE": "a=1; b=2", "HTTP_X_TWICE": "1, 2", "SERVER_PROTOCOL": "HTTP/1.1"},
        **{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(engine.port)},
    }
    assert {name: environ.get(name) for name in expected} == expected


def test_requests_on_one_connection_have_their_own_headers(client: Client) -> None:
    get = b"GET / HTTP/1.1\r\n" + HOST
    client.send(get + b"X: 1\r\n\r\n" + get + b"X: 2\r\n\r\n" + get + b"\r\n")
    assert [json.loads(client.answer().body).get("HTTP_X") for _ in range(3)] == ["1", "2", None]


def test_a_chunked_body_has_a_length_and_its_trailers_are_dropped(client: Client) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    environ = environ_of(client, head + b"2\r\nab\r\n1\r\nc\r\n0\r\nX-Late: 1\r\n\r\n")
    assert (environ["body"], environ["CONTENT_LENGTH"]) == ("abc", "3")
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_X_LATE"} & environ.keys()


def test_the_headers_of_a_request_with_upgrade_and_body_are_kept(client: Client) -> None:
    fields = b"Upgrade: h2c\r\nConnection: upgrade\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\n"
    environ = environ_of(client, b"POST /u HTTP/1.1\r\n" + HOST + fields + b"abc")
    assert (environ["body"], environ["HTTP_X_MINE"], environ["HTTP_HOST"]) == ("abc", "1", "engine")


def test_a_name_with_an_underscore_does_not_pass_for_another_one(client: Client) -> None:
    environ = environ_of(client, b"GET / HTTP/1.1\r\n" + HOST + b"X_User: root\r\n\r\n")
    assert "HTTP_X_USER" not in environ


def test_the_last_request_of_a_connection_has_its_headers(client: Client) -> None:
    environ = environ_of(client, b"GET http://other/p?q HTTP/1.0\r\nX: 1\r\n\r\n")
    assert (environ["SERVER_PROTOCOL"], environ["PATH_INFO"], environ["HTTP_X"]) == ("HTTP/1.0", "/p", "1")
    assert client.rest() == b""


def test_parts_of_a_body_are_sent_as_one(client: Client) -> None:
    assert client.ask("/parts").body == b"123"


def test_repeated_fields_and_any_status_are_sent(client: Client) -> None:
    client.send(b"GET /cookies HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    head, _, body = client.rest().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 302 Found" and body == b"moved"
    assert {b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 5", b"Connection: close"} < set(lines)


def test_a_response_without_a_body_has_none(client: Client) -> None:
    client.send(b"HEAD /parts HTTP/1.1\r\n" + HOST + b"\r\n")
    assert client.answer(head=True).headers["content-length"] == "3"
    client.send(b"GET /empty HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    empty = client.rest()
    assert empty.startswith(b"HTTP/1.1 204 ") and empty.endswith(b"\r\n\r\n")
    assert b"content-length" not in empty.lower()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/raises", "RuntimeError: raised before start_response"),
        ("/raises-late", "RuntimeError: raised after the first part"),
        ("/large", "InvalidResponse: the body is larger than 16 MiB"),
        ("/exits", "SystemExit: an application that exits"),
        ("/deep", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_an_exception_is_a_500_and_counted(engine: Engine, path: str, reason: str) -> None:
    before, logged = engine.board().counters["requests_5xx"], engine.stderr().count(reason)
    with engine.connect() as client:
        answer = client.ask(path)
        assert (answer.status, answer.closes) == (500, True) and b"log" in answer.body
    until(lambda: engine.board().counters["requests_5xx"] == before + 1, "the error is counted")
    assert engine.stderr().count(reason) == logged + 1
    with engine.connect() as client:
        assert client.ask("/parts").status == 200


def test_an_exception_in_a_thread_of_the_application_does_not_end_the_engine(engine: Engine) -> None:
    with engine.connect() as client:
        assert client.ask("/thread-fails").status == 200
        assert client.ask("/parts").status == 200
    assert "RuntimeError: raised in a thread of the application" in engine.stderr()


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/terminates", "test.ended", str(-signal.SIGTERM)),
        ("/fork-returns", "test.ended", "1"),
        ("/fork-sockets", "test.sockets", "0"),
    ],
)
def test_a_process_that_the_application_forks_is_not_another_engine(
    engine: Engine, path: str, name: str, value: str
) -> None:
    for _ in range(2):
        with engine.connect() as client:
            assert environ_of(client, b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), HOST))[name] == value
            assert client.ask("/parts").status == 200
    assert engine.process.poll() is None


def test_the_response_to_head_has_no_wrong_length(client: Client) -> None:
    client.send(b"HEAD /stream HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert b"content-length" not in client.rest().lower()


def test_input_that_is_no_request_does_not_reach_it(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert (client.answer().status, client.rest()) == (400, b"")


def test_worker_processes_import_it_themselves(engine: Engine, client: Client) -> None:
    environ = environ_of(client, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert environ["multiprocess"] == (environ["pid"] != engine.pid)
    assert environ["imported_in"] == environ["pid"], "after the fork"


def test_what_it_prints_is_part_of_the_log_of_a_lab() -> None:
    ready, ready_write = os.pipe()
    with started("reactor", "--ready-fd", str(ready_write), pass_fds=(ready_write,)) as process:
        os.close(ready_write)
        with os.fdopen(ready) as lines, Client(json.loads(lines.readline())["port"]) as client:
            assert client.ask("/prints").status == 200
        process.terminate()
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert stdout == b"" and b"a line of the application\n" in stderr


@pytest.mark.parametrize("model", ["reactor", "prefork"])
def test_what_it_prints_is_written_before_the_engine_ends(model: str) -> None:
    with started(model) as process, Client(port_of(process)) as client:
        assert client.ask("/prints").status == 200
        process.terminate()
        stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert stdout == b"a line of the application\n"


@pytest.mark.parametrize("model", ["blocking", "reactor", "prefork"])
def test_a_log_that_nobody_reads_changes_nothing(model: str) -> None:
    with started(model) as process:
        port = port_of(process)
        assert process.stderr
        process.stderr.close()
        for _ in range(2):
            with Client(port) as client:
                assert client.ask("/raises").status == 500
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_an_engine_that_crashes_does_not_wait_for_threads_of_the_application() -> None:
    command = [sys.executable, "-c", CRASHES, FOLDER]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == EXIT_CRASHED and "LookupError: a fault of ours" in ended.stderr


CRASHES = """
import sys
from types import SimpleNamespace
from engines import reactor
from engines.common.calibration import Calibration
from engines.common.process.lifecycle import LaunchOptions, run
from engines.common.wsgi.application import ApplicationSpec

def serve(listener, setup):
    raise LookupError("a fault of ours")

application = ApplicationSpec("checked:application", sys.argv[1])
options = LaunchOptions({}, calibration=Calibration(1.0, 1.0), application=application)
run(SimpleNamespace(MODEL=reactor.MODEL, serve=serve), options)
"""


def test_a_stop_does_not_wait_for_an_import(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    (tmp_path / "stuck.py").write_text("print('importing', flush=True)\nopen('never')\n")
    own = ("--app", "stuck:application", "--app-dir", str(tmp_path), "--set", "grace_s=0")
    with started("prefork", *own, "--set", "processes=1", application=()) as process:
        assert process.stdout
        assert process.stdout.readline() == b"importing\n"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr and b"did not drain within the grace period" in process.stderr.read()


@contextlib.contextmanager
def started(
    model: str, *options: str, application: Sequence[str] = ARGUMENTS, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Start an engine with the application and pipes as stdout and stderr; kill it at the end."""
    command = [sys.executable, "-m", "engines", model, *application, *options]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered, pass_fds=pass_fds
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Return the port of its ready line."""
    assert process.stdout
    port: int = json.loads(process.stdout.readline())["port"]
    return port


@pytest.mark.parametrize("variant", variants(lambda each: each.name in ("reactor", "prefork")))
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "nowhere:application",
            "No module named 'nowhere'\nnowhere:application cannot be imported.",
        ),
        ("checked:missing", "has no attribute 'missing'\nchecked:missing cannot be imported."),
        ("checked:not_callable", "checked:not_callable is not callable"),
        ("checked", "write module:callable"),
    ],
)
def test_an_application_that_cannot_be_loaded_ends_the_engine(
    variant: Variant, name: str, reason: str
) -> None:
    command = [sys.executable, "-m", "engines", variant.model, "--app", name, "--app-dir", FOLDER]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1 and reason in ended.stderr
    assert "worker_process.py" not in ended.stderr, "the traceback is that of the user's code"


def test_a_directory_without_an_application_is_an_error() -> None:
    command = [sys.executable, "-m", "engines", "reactor", "--app-dir", FOLDER]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 2 and "--app-dir needs --app" in ended.stderr
