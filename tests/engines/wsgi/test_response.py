"""What an application may respond, and what is refused before its first byte is sent."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from engines.common.wsgi.response import InvalidResponse, Response

PLAIN = ("Content-Type", "text/plain")


def collected(status: str, *headers: tuple[str, str], body: Any = (b"x",)) -> Response:
    def application(environ: Any, start: Any) -> Any:
        start(status, list(headers))
        return body

    response = Response()
    response.call(application, {})
    return response


@pytest.mark.parametrize("status", ["", "200", "100 Continue", "OK", "20x OK", "200 OK\r\nSet-Cookie: a"])
def test_a_malformed_status_is_refused(status: str) -> None:
    with pytest.raises(InvalidResponse, match="is not a status"):
        collected(status)


@pytest.mark.parametrize(
    "header",
    [
        ("A", "b\r\nC: d"),
        ("A", "b\n"),
        ("A", "\0"),
        ("", "b"),
        ("A B", "c"),
        ("A:", "b"),
        ("Ä", "b"),
        ("\tA", "b"),
        ("A\t", "b"),
        ("A", "\x0b"),
        ("A", 1),
    ],
)
def test_a_header_that_could_begin_another_line_is_refused(header: tuple[str, Any]) -> None:
    with pytest.raises(InvalidResponse, match="is malformed"):
        collected("200 OK", header)


def test_headers_about_the_connection_are_left_to_the_engine() -> None:
    own = [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Content-Length", "1"), PLAIN]
    response = collected("200 OK", *own)
    assert (response.fields, response.length, response.body) == ([PLAIN], "1", b"x")


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(InvalidResponse, match="the body has 1 bytes, but Content-Length is 99"):
        collected("200 OK", ("Content-Length", "99"))
    assert collected("200 OK", ("Content-Length", "99"), body=()).length == "99", "the response to HEAD"


def test_a_body_of_text_is_refused() -> None:
    with pytest.raises(InvalidResponse, match="the body has str in place of bytes"):
        collected("200 OK", body=["x"])


def test_an_application_must_start_a_response_once() -> None:
    def never(environ: Any, start: Any) -> Any:
        return []

    def twice(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        start("200 OK", [])

    def late(environ: Any, start: Any) -> Any:
        yield b""
        yield b"a part"
        start("200 OK", [])

    with pytest.raises(InvalidResponse, match="begins before start_response"):
        Response().call(late, {})
    with pytest.raises(InvalidResponse, match="did not call start_response"):
        Response().call(never, {})
    with pytest.raises(InvalidResponse, match="called twice"):
        Response().call(twice, {})


def test_an_error_handler_may_replace_the_response() -> None:
    def fails(environ: Any, start: Any) -> Any:
        start("200 OK", [PLAIN])
        yield b"a part"
        start("500 Failed", [], (None, None, None))
        yield b"sorry"

    response = Response()
    response.call(fails, {})
    assert (response.status, response.fields, response.body) == ("500 Failed", [], b"sorry")


def test_the_body_is_closed_also_when_it_fails() -> None:
    class Body:
        closed = False

        def __iter__(self) -> Any:
            raise RuntimeError("failed")

        def close(self) -> None:
            self.closed = True

    body = Body()
    with pytest.raises(RuntimeError):
        collected("200 OK", body=body)
    assert body.closed


def test_a_refused_header_leaves_nothing_of_the_response() -> None:
    def carries_on(environ: Any, start: Any) -> Any:
        with contextlib.suppress(InvalidResponse):
            start("200 OK", [("A", "1"), ("Set-Cookie", "a\n"), ("B", "2")])
        return [b"x"]

    with pytest.raises(InvalidResponse, match="begins before start_response"):
        Response().call(carries_on, {})
