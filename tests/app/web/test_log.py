"""The log: repeated warnings are counted, and control characters are escaped."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from app.web.authentication import new_token
from app.web.log import EscapingFormatter, RepeatFilter
from tests.app.in_process_lab import InProcessLab

TOKEN = new_token()


def record(
    message: str, *args: object, level: int = logging.WARNING, name: str = "threadlab"
) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def logged(number: int, *args: object, level: int = logging.WARNING) -> list[str]:
    """Return the messages that a filter passes of `number` equal records."""
    repeat_filter = RepeatFilter()
    records = [record("%s has failed", *args, level=level) for _ in range(number)]
    return [each.getMessage() for each in records if repeat_filter.filter(each)]


def test_a_repeated_warning_is_logged_with_its_count() -> None:
    counts = ["", " (the 10th of its kind)", " (the 100th of its kind)", " (the 1,000th of its kind)"]
    assert logged(1500, "x") == [f"x has failed{count}" for count in counts]
    assert len(logged(50, "x", level=logging.INFO)) == 50


def test_kinds_of_warnings_are_counted_separately_and_limited() -> None:
    repeat_filter = RepeatFilter()
    assert all(repeat_filter.filter(record("%s", address)) for address in ("192.0.2.1", "192.0.2.2"))
    assert repeat_filter.filter(record("%s", "192.0.2.1", name="asyncio"))
    for number in range(5000):
        assert repeat_filter.filter(record("%s", number))
    assert len(repeat_filter._counts) <= 1000


@pytest.mark.parametrize(("authenticated", "level"), [(True, "INFO"), (False, "WARNING")])
def test_failed_requests_without_the_token_are_warnings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, authenticated: bool, level: str
) -> None:
    caplog.set_level("INFO", "threadlab.audit")
    with closing(InProcessLab(tmp_path, token=TOKEN)) as lab:
        headers = {"Authorization": f"Bearer {TOKEN}"} if authenticated else {}
        assert lab.http.post("/static/" + "%1b" * 500, headers=headers).status_code == 405
        lab.http.post("/login", data={"token": TOKEN})
    lines = [each for each in caplog.records if each.name == "threadlab.audit"]
    assert [each.levelname for each in lines] == [level, "INFO"]
    assert len(lines[0].getMessage()) < 300


def test_a_log_line_cannot_be_forged() -> None:
    form = EscapingFormatter("%(name)s %(message)s").format
    assert (
        form(record("from %s", "a\nthreadlab b\x1b[31m\u202e\x85"))
        == r"threadlab from a\nthreadlab b\x1b[31m\u202e\x85"
    )
