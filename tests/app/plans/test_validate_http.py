"""Requests of the work kind `http`: what cannot be sent as written is refused at its field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.load.connections.request_kind import build_request
from app.load.protocol.http_request import MASKED
from app.load.protocol.plan import Plan
from app.plans.validate import validate_plan
from app.plans.validate_http import METHODS
from app.settings import Settings

SECRET = "s3cr3t"


def validated(*requests: dict[str, Any]) -> Plan:
    work = [{"kind": "http", "params": each} for each in requests]
    return validate_plan({"work": work}, Settings(), 20_000)


def refused(*requests: dict[str, Any]) -> tuple[list[str], str]:
    """Return the pointers below the first request, and the sentences."""
    with pytest.raises(Invalid) as error:
        validated(*requests)
    return [each.pointer.removeprefix("/plan/work/0/params") for each in error.value.problems], str(
        error.value
    )


@pytest.mark.parametrize(
    "path", [None, 5, "", "a", "/a b", "/a\r\n", "/a#b", "/é", "/a\x7f", "/" + "a" * 2000]
)
def test_a_path_that_cannot_be_sent_is_refused(path: object) -> None:
    assert refused({"path": path})[0] == ["/path"]


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "GET /", 5, None, ["GET"]])
def test_an_unknown_method_is_refused(method: object) -> None:
    assert refused({"path": "/", "method": method})[0] == ["/method"]


@pytest.mark.parametrize("status", [199, 600, "200", True, None, 200.5])
def test_a_status_that_no_response_ends_with_is_refused(status: object) -> None:
    assert refused({"path": "/", "status": status})[0] == ["/status"]


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", "a"), ("HEAD", "a"), ("POST", 5), ("POST", None), ("POST", "\ud800"), ("POST", "é" * 16_385)],
)
def test_a_body_that_cannot_be_sent_is_refused(method: str, body: object) -> None:
    assert refused({"path": "/", "method": method, "body": body})[0] == ["/body"]


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION"])
def test_a_header_that_the_generator_sets_is_refused_with_the_reason(name: str) -> None:
    pointers, detail = refused({"path": "/", "headers": {name: "a"}})
    assert pointers == [f"/headers/{name}"] and f"{name} is set by the load generator: " in detail


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\0", " a", "a\t", "é", 5, None, "a" * 4001])
def test_a_header_value_that_cannot_be_sent_is_refused_and_not_repeated(value: object) -> None:
    shown = f"{SECRET}{value}" if isinstance(value, str) and not value.startswith(" ") else value
    pointers, detail = refused({"path": "/", "headers": {"X-~a": shown}})
    assert pointers == ["/headers/X-~0a"] and SECRET not in detail


@pytest.mark.parametrize(
    "headers", [{"a b": "c"}, {"": "c"}, {"a:": "c"}, {"é": "c"}, [], "a", {"a" * 201: "c"}]
)
def test_headers_that_are_none_are_refused(headers: object) -> None:
    assert refused({"path": "/", "headers": headers})[0] == ["/headers"]


def test_there_are_at_most_20_headers_and_each_once() -> None:
    assert refused({"path": "/", "headers": {f"X-{i}": "" for i in range(21)}})[0] == ["/headers"]
    assert refused({"path": "/", "headers": {"X-A": "b", "x-a": "c"}})[0] == ["/headers/x-a"]
    assert validated({"path": "/", "headers": {f"X-{i}": "" for i in range(20)}})


def test_a_masked_header_must_be_given_again() -> None:
    pointers, detail = refused({"path": "/", "headers": {"Authorization": MASKED}})
    assert pointers == ["/headers/Authorization"]
    assert detail == "Authorization was masked in the history; give its value again."


def test_unknown_parameters_are_refused_and_all_problems_are_listed() -> None:
    pointers, _ = refused({"url": "/", "method": "get", "status": 1})
    assert pointers == ["/url", "/path", "/method", "/status"]


def test_requests_that_results_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(Invalid) as error:
        validated({"path": "/a"}, {"path": "/a", "headers": {"X": "y"}})
    [problem] = error.value.problems
    assert problem.pointer == "/plan/work/1/params/path" and "http GET /a" in problem.detail
    assert validated({"path": "/a"}, {"path": "/a", "method": "HEAD"}, {"path": "/a?b"})


VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=0x2FF), max_size=20)


@given(
    st.fixed_dictionaries(
        {"path": TEXT.map("/".__add__) | st.text(VISIBLE, max_size=20).map("/".__add__)},
        optional={
            "method": st.sampled_from([*METHODS, "get"]),
            "headers": st.dictionaries(st.text(VISIBLE, max_size=5) | TEXT, TEXT, max_size=3),
            "body": TEXT,
            "status": st.integers(199, 600),
        },
    )
)
def test_what_is_accepted_is_sent_as_one_request(params: dict[str, Any]) -> None:
    try:
        plan = validated(params)
    except Invalid as error:
        assert all(each.pointer.startswith("/plan/work/0/params/") for each in error.problems)
        return
    head, _, body = build_request(plan.work[0], "h:1").partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == f"{params.get('method', 'GET')} {params['path']} HTTP/1.1".encode()
    names = [field.partition(b": ")[0].decode() for field in fields]
    assert names[: 1 + len(params.get("headers", {}))] == ["Host", *params.get("headers", {})]
    assert body.decode() == params.get("body", "") and not any(b"\n" in each for each in (line, *fields))
