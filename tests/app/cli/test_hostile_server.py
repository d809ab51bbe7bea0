"""`--server URL` where URL is anything but a lab.

The token stays, nothing is a traceback, and no text is a command.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app import streams
from app.cli import http_client
from app.schemas.run import RunView
from app.streams import visible
from app.web.authentication import new_token
from tests.app.driver import Command
from tests.app.stored_runs import PERCENTILES, stored_run, verdict
from tests.waiting import BOUND_S

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202egpj.exe\x00\rover"
RAW = ("\x1b", "\x07", "\x9b", "\u202e", "\x00", "\r")


@dataclass
class Answer:
    """What the server says to any request."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_raw: bool = False  # the body is all that is said, status line and head included


@dataclass
class Server:
    """A server on loopback, and what it was asked."""

    url: str
    answer: Answer
    asked: list[tuple[str, str, Message]] = field(default_factory=list)


@contextmanager
def serving(answer: Answer, **by_path: Answer) -> Iterator[Server]:
    """Give `answer` to everything, but for the paths whose last part is named."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.command, self.path, self.headers))
            said = by_path.get(self.path.rpartition("/")[2], found.answer)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not said.is_raw:
                self.send_response(said.status)
                for name, value in ({"Content-Length": str(len(said.body))} | said.headers).items():
                    self.send_header(name, value)
                self.end_headers()
            self.wfile.write(said.body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Server(f"http://127.0.0.1:{server.server_port}", answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(BOUND_S)


@pytest.fixture
def wrk(tmp_path: Path) -> Path:
    file = tmp_path / "wrk.txt"
    file.write_text(WRK_SAYS)
    return file


WRK_SAYS = """Running 1s test @ http://127.0.0.1:8101/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   200.00us   50.00us   1.00ms   90.00%
    Req/Sec    10.00k   500.00    11.00k    70.00%
  Latency Distribution
     50%  190.00us
     75%  210.00us
     90%  250.00us
     99%  400.00us
  10000 requests in 1.00s, 1.40MB read
Requests/sec:  10000.00
Transfer/sec:      1.40MB
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "reactor"),
    "compare": ("compare", "reactor", "blocking"),
    "compare all": ("compare",),
    "demo": ("demo",),
    "import": ("import", "{wrk}", "--tool", "wrk", "--run", "7"),
}
EACH = pytest.mark.parametrize("words", COMMANDS.values(), ids=list(COMMANDS))


def asked_of(server: Server, command: Command, words: tuple[str, ...], wrk: Path) -> tuple[int, str, str]:
    """A command to its end; it is never a traceback, and no control character is printed."""
    done = command(*(word.format(wrk=wrk) for word in words), "--server", server.url)
    assert "Traceback" not in done.stderr
    assert not any(raw in (done.stdout + done.stderr).replace("\r\n", "\n") for raw in RAW)
    return done.returncode, done.stdout, done.stderr


# Redirects


@EACH
def test_a_redirect_to_another_origin_is_refused_and_does_not_get_the_token(
    words: tuple[str, ...], command: Command, wrk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADLAB_TOKEN", new_token())
    with serving(Answer(b"[]")) as other:
        for status in (301, 302, 303, 307, 308):
            with serving(Answer(status=status, headers={"Location": f"{other.url}/api/v1/models"})) as server:
                code, out, err = asked_of(server, command, words, wrk)
                assert (code, out) == (1, "")
                assert server.url in err and (f"--server {other.url}" in err or "status" in err)
                assert server.asked[0][2]["Authorization"].startswith("Bearer ")
        assert other.asked == []


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:1/", "https://127.0.0.1/", "http://localhost/", "ftp://127.0.0.1/"]
)
def test_another_port_scheme_or_name_is_another_origin(where: str, command: Command, wrk: Path) -> None:
    with serving(Answer(status=302, headers={"Location": where})) as server:
        code, _, err = asked_of(server, command, COMMANDS["import"], wrk)
        assert code == 1 and f"redirects to {where.split(':')[0]}" in err
        assert len(server.asked) == 1


def test_a_redirect_within_the_origin_is_followed_for_a_get_only(command: Command, wrk: Path) -> None:
    run = Answer(TypeAdapter(RunView).dump_json(stored_run(id=7)))
    moved = Answer(b"x" * 100, status=301, headers={"Location": "/elsewhere"})
    with serving(moved, elsewhere=run) as server:
        code, out, _ = asked_of(server, command, COMMANDS["import"], wrk)
        assert code == 0 and "Run 7: reactor" in out
        code, out, err = asked_of(server, command, COMMANDS["run"], wrk)
        assert (code, out) == (1, "") and "redirects to" in err
        assert [path for method, path, _ in server.asked if method == "POST"] == ["/api/v1/runs"]


def test_redirects_without_an_end_are_a_sentence(command: Command, wrk: Path) -> None:
    with serving(Answer(status=302, headers={"Location": "/elsewhere"})) as server:
        code, out, err = asked_of(server, command, COMMANDS["import"], wrk)
        assert (code, out) == (1, "") and "redirects more than 10 times" in err
        assert len(server.asked) == 11


def test_the_token_is_sent_also_where_the_url_has_a_user_name(
    command: Command, wrk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADLAB_TOKEN", token := new_token())
    with serving(Answer(b"[]")) as server:
        server.url = server.url.replace("//", "//someone:secret@")
        asked_of(server, command, COMMANDS["import"], wrk)
        assert [headers["Authorization"] for _, _, headers in server.asked] == [f"Bearer {token}"]


# What is not a lab's answer

DEEP = b"[" * 100_000
NONSENSE = {
    "nothing": b"",
    "text": b"hello",
    "a list": b"[1]",
    "an empty list": b"[]",
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "a text": b'"x"',
    "deep": DEEP,
    "not UTF-8": b"\xff\xfe",
    "NaN": b'{"detail": NaN}',
    "a long number": b"1" * 5000,
    "detail is a list": b'{"detail": ["x"]}',
    "detail is null": b'{"detail": null}',
    "foreign": b'{"error": {"code": 5}}',
}


@EACH
@pytest.mark.parametrize("status", [200, 404, 409, 418, 422, 500, 503])
def test_a_response_that_is_not_of_a_lab_is_an_error_of_one_sentence(
    words: tuple[str, ...], status: int, command: Command, wrk: Path
) -> None:
    with serving(Answer(status=status)) as server:
        for name, body in NONSENSE.items():
            server.answer.body = body
            code, out, err = asked_of(server, command, words, wrk)
            assert (code, out) == (2 if status in (404, 422) else 1, ""), name
            assert err.startswith("threadlab: ") and err.count("\n") == 1, name
            assert server.url in err, name


@EACH
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"220 mail ready\r\n",
        b"HTTP/1.1 xyz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nx",
    ],
    ids=["nothing", "empty lines", "mail", "status", "field", "fields", "short", "chunk", "short error"],
)
def test_a_server_that_does_not_speak_http_is_an_error_of_one_sentence(
    words: tuple[str, ...], said: bytes, command: Command, wrk: Path
) -> None:
    with serving(Answer(said, is_raw=True)) as server:
        code, out, err = asked_of(server, command, words, wrk)
    assert (code, out) == (1, "") and err.startswith("threadlab: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": {**verdict("noisy"), "figure": "nope"}},
        {"verdict": {**verdict("noisy"), "fitness": {"nope": "why"}}},
        {"verdict": {**verdict("noisy"), "figure": "p50_us of"}},
    ],
)
def test_a_run_of_another_version_is_a_sentence(changes: dict[str, Any], command: Command, wrk: Path) -> None:
    with serving(Answer(TypeAdapter(RunView).dump_json(stored_run(id=7, **changes)))) as server:
        code, out, err = asked_of(server, command, COMMANDS["run"], wrk)
    assert (code, out) == (1, "") and "does not understand" in err


def comparison(**changes: Any) -> bytes:
    standing = {
        "entry": 0,
        "place": 1,
        "ranked": 1,
        "trials": 1,
        "better_than": [],
        "latency": None,
        "figures": dict.fromkeys(("cpu_us", "achieved_per_s", "rss_bytes_peak")),
    }
    trial = {
        "entry": 0,
        "trial": 1,
        "run": 1,
        "state": "finished",
        "verdict": ESCAPES,
        "achieved_per_s": 1.0,
        "cpu_us": 1.0,
        "p50_us": None,
        "p99_us": None,
        "rss_bytes_peak": None,
        "why_not": ESCAPES,
    }
    result = {"metric": "cpu_us", "standings": [standing], "order": [0], "groups": [], "said": [ESCAPES]}
    entry = {"letter": "A", "name": f"Reactor {ESCAPES}", "model": "reactor", "knobs": {}}
    view = {
        "id": 3,
        "state": "finished",
        "progress": 1.0,
        "left_s": None,
        "label": None,
        "view": "equal-rate",
        "title": "x",
        "scenario": None,
        "entries": [entry],
        "trials": 1,
        "plan": {},
        "plan_text": ESCAPES,
        "thresholds": [],
        "environment": {},
        "runs": [trial],
        "current": None,
        "result": result,
        "failure": None,
        "created_at": "x",
        "finished_at": None,
        "rule": ESCAPES,
    }
    return json.dumps(view | changes).encode()


@pytest.mark.parametrize(
    "changes", [{"entries": []}, {"runs": [json.loads(comparison())["runs"][0] | {"entry": 9}]}]
)
def test_a_comparison_that_names_what_is_not_there_is_a_sentence(
    changes: dict[str, Any], command: Command, wrk: Path
) -> None:
    with serving(Answer(comparison(**changes))) as server:
        code, out, err = asked_of(server, command, COMMANDS["compare"], wrk)
    assert (code, out) == (1, "") and "does not understand" in err


def test_a_demo_with_an_entry_that_does_not_exist_is_a_sentence(command: Command, wrk: Path) -> None:
    models = Answer(json.dumps([{"name": name, "unavailable_reason": None} for name in ("a", "b")]).encode())
    run = Answer(TypeAdapter(RunView).dump_json(stored_run()))
    with serving(Answer(comparison(entries=[])), models=models, **{"1": run}) as server:
        code, out, err = asked_of(server, command, COMMANDS["demo"], wrk)
    assert (code, out) == (1, "") and "does not understand" in err


# How much it says


def test_a_response_that_is_too_long_is_not_read(
    command: Command, wrk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "JSON_MAX_BYTES", 1000)
    for status in (200, 500):
        with serving(Answer(b" " * 1001, status, {"Content-Length": str(10**12)})) as server:
            code, out, err = asked_of(server, command, COMMANDS["run"], wrk)
            assert (code, out) == (1, "")
            assert ("is longer than" in err) if status == 200 else ("status 500" in err)


def test_a_compressed_response_is_not_decompressed(command: Command, wrk: Path) -> None:
    """A few bytes could become gigabytes."""
    body = gzip.compress(TypeAdapter(RunView).dump_json(stored_run(id=7)))
    with serving(Answer(body, headers={"Content-Encoding": "gzip"})) as server:
        code, out, err = asked_of(server, command, COMMANDS["import"], wrk)
        assert (code, out) == (1, "") and err.startswith("threadlab: There is no lab at")
        assert server.asked[0][2]["Accept-Encoding"] == "identity"


# What it says is text


def escaped_run(**changes: Any) -> bytes:
    judged = {**verdict("noisy"), "title": ESCAPES, "because": [ESCAPES], "fitness": {"cpu_us": ESCAPES}}
    said = {
        "id": 7,
        "model": f"reactor{ESCAPES}",
        "plan_text": ESCAPES,
        "verdict": judged,
        "notes": [ESCAPES],
        "thresholds": [{"text": ESCAPES, "seen": ESCAPES, "breached": False}],
        "label": ESCAPES,
        "legs": [
            {
                "engine": "x",
                "model": ESCAPES,
                "model_title": "x",
                "from_s": None,
                "to_s": None,
                "requests": 1,
                "errors": 0,
                "achieved_per_s": None,
                "service": PERCENTILES,
                "response": PERCENTILES,
                "cpu_us": None,
            }
        ],
    }
    return TypeAdapter(RunView).dump_json(stored_run(**said | changes))


@EACH
@pytest.mark.parametrize("status", [200, 409])
def test_control_characters_of_a_server_are_printed_visibly(
    words: tuple[str, ...], status: int, command: Command, wrk: Path
) -> None:
    told = comparison() if words[0] in ("compare", "demo") else escaped_run()
    models = Answer(
        json.dumps(
            [{"name": "a", "unavailable_reason": None}, {"name": "b", "unavailable_reason": ESCAPES}]
        ).encode()
    )
    detail = json.dumps({"detail": f"No. {ESCAPES}"}).encode()
    answers = {"models": models, "1": Answer(escaped_run())} if status == 200 else {}
    with serving(Answer(told if status == 200 else detail, status), **answers) as server:
        _, out, err = asked_of(server, command, words, wrk)
    assert "\\x1b[2J" in out + err and "\\u202egpj.exe" in out + err


def test_an_export_is_exact_where_it_does_not_go_to_a_terminal(command: Command, tmp_path: Path) -> None:
    text = f"a,b\r\n{ESCAPES.replace(chr(13), '')},1\r\n"
    run, csv = Answer(TypeAdapter(RunView).dump_json(stored_run(id=7))), Answer(text.encode())
    file = tmp_path / "run.csv"
    with serving(run, csv=csv) as server:
        done = command("run", "reactor", "--csv", str(file), "--server", server.url)
        assert done.returncode == 0, done.stderr
        assert file.read_bytes() == text.encode()
        done = command("run", "reactor", "--csv", "-", "--server", server.url)
    assert done.stdout.encode() == text.encode()


def test_a_terminal_gets_an_export_with_its_control_characters_visible() -> None:
    """A terminal acts on what is in it; a CR that belongs to the end of a line does nothing there."""
    ours, theirs = os.openpty()
    try:
        with os.fdopen(theirs, "w", closefd=False, newline="") as stream:
            tolerant = streams.Tolerant(stream)
            assert streams.is_terminal(tolerant) and not tolerant.isatty()  # type: ignore[arg-type]
            streams.write_export(tolerant, "a\x1b[2Jb,1\r\n")  # type: ignore[arg-type]
            streams.unescaped(tolerant).write("\r\x1b[K")  # type: ignore[arg-type]
            tolerant.writelines(["\x1b[2J", "\n"])
            tolerant.flush()
        said = b""
        while not said.endswith(b"[2J\r\n"):  # a terminal gives what it has, and that may be a part
            said += os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert said.replace(b"\r\r\n", b"\r\n") == b"a\\x1b[2Jb,1\r\n\r\x1b[K\\x1b[2J\r\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc – ü", "a\tb\nc – ü"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x7f\x80\x9f\xa0", "\\x7f\\x80\\x9f\xa0"),
        ("a\r\nb\rc", "a\r\nb\\x0dc"),
        ("\u202a\u202e\u2066\u2069", "\\u202a\\u202e\\u2066\\u2069"),
        ("\0", "\\x00"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
