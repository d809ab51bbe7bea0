"""The options of one http request: --path, --method, --header, --body and --expect-status."""

from __future__ import annotations

import pytest

from app.cli import http_options
from app.errors import Invalid
from tests.app.command_line import parsed
from tests.app.driver import Command

SECRET = "s3cr3t"


def work(*args: str, command: str = "run") -> object:
    given = parsed(command, "reactor", *args)
    request = {each.name: given[each.name] for each in http_options.OPTIONS}
    return http_options.with_request({"vus": 2}, request).get("work")


@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_options_make_the_whole_mix(command: str) -> None:
    args = ["--path", "/a?b", "--method", "PUT", "--header", "Accept: text/html", "--header", "X-Time:12:30"]
    params = {
        "path": "/a?b",
        "method": "PUT",
        "headers": {"Accept": "text/html", "X-Time": "12:30"},
        "body": "c",
        "status": 201,
    }
    found = work(*args, "--body", "c", "--expect-status", "201", command=command)
    assert found == [{"kind": "http", "weight": 1, "params": params}]
    assert work("--path", "/", command=command) == [{"kind": "http", "weight": 1, "params": {"path": "/"}}]
    assert work(command=command) is None


@pytest.mark.parametrize(
    ("header", "sentence"), [(SECRET, "takes 'Name: value'"), (f"A: b\nB: {SECRET}", "A must be at most")]
)
def test_a_refused_header_is_not_repeated(header: str, sentence: str, command: Command) -> None:
    done = command("run", "reactor", "--path", "/", "--header", header)
    assert done.returncode == 2 and sentence in done.stderr and SECRET not in done.stderr


def test_a_header_that_is_given_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="given twice"):
        work("--path", "/", "--header", "A: b", "--header", "A: c")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--path", "/", "--work", "plaintext"), "--path is the whole request mix"),
        (("--body", "a"), "--body needs --path"),
        (("--path", "x"), "--path must begin with /"),
        (("--path", "/", "--method", "get"), "--method must be one of GET"),
        (("--path", "/", "--body", "a"), "--body must be empty: a GET request has none."),
        (("--path", "/", "--expect-status", "1"), "--expect-status must be a whole number from 200 to 599"),
        (("--path", "/", "--header", "Host: a"), "--header: Host is set by the load generator"),
        (("--work", "http /x#"), "--work: path must begin with /"),
    ],
)
def test_a_wrong_request_is_refused_by_its_flag(
    args: tuple[str, ...], sentence: str, command: Command
) -> None:
    done = command("run", "reactor", *args)
    assert done.returncode == 2 and sentence in done.stderr
