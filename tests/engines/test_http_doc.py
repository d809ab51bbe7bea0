"""docs/http.md says what is tested, and what is tested stands there: each line has its vectors or its test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from .differential import ALLOWANCES
from .malformed import ACCEPTED, LIMITS, MALFORMED
from .streams import MUTATIONS
from .test_differential import STREAMS

HERE = Path(__file__).parent
DOC = (HERE.parents[1] / "docs" / "http.md").read_text()


class Line(NamedTuple):
    name: str
    differs: bool
    what: str
    decision: str
    section: str
    held_by: str


def lines() -> list[Line]:
    rows = re.findall(r"^\| `([\w.-]+)`( ◦)? \| (.+?) \| (\w+) \| ([\w. ]+) \| (.+?) \|$", DOC, re.MULTILINE)
    return [Line(name, bool(mark), *rest) for name, mark, *rest in rows]


def vectors() -> dict[str, set[str]]:
    """The decisions of the vectors of each line."""
    found: dict[str, set[str]] = {}
    for bad in (*MALFORMED, *LIMITS):
        found.setdefault(bad.line, set()).add(str(bad.status))
    for good in ACCEPTED:
        found.setdefault(good.line, set()).add("ok")
    return found


def test_every_row_is_read_and_has_a_name_of_its_own() -> None:
    names = [line.name for line in lines()]
    assert len(names) == len(set(names)) == len(re.findall(r"^\| `", DOC, re.MULTILINE)) - len(ALLOWANCES)


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.name)
def test_a_line_is_held_by_a_test_that_exists(line: Line) -> None:
    assert re.fullmatch(r"(9110 )?\w+(\.\d+)*", line.section)
    if line.held_by == "vectors":
        assert vectors()[line.name] == {line.decision}
    else:
        tests = "".join(file.read_text() for file in HERE.glob("test_*.py"))
        for name in re.findall(r"`(\w+)`", line.held_by) or ["nothing"]:
            assert f"def {name}(" in tests


def test_each_vector_has_a_line() -> None:
    assert set(vectors()) == {line.name for line in lines() if line.held_by == "vectors"}


def test_no_vector_is_there_twice() -> None:
    for some in ((*MALFORMED, *LIMITS), ACCEPTED):
        names = [(each.line, each.name) for each in some]
        assert len(names) == len(set(names))
        data = [each.data for each in some]
        assert len(data) == len(set(data))


def test_each_difference_has_a_reason() -> None:
    reasons = set(re.findall(r"^- `([\w.-]+)`: \S", DOC, re.MULTILINE))
    assert reasons == {line.name for line in lines() if line.differs}


def test_the_numbers_are_those_of_the_tests() -> None:
    assert f"by {len(MUTATIONS)} kinds of\nmutation" in DOC
    assert f"asks for {STREAMS} streams" in DOC
    assert set(re.findall(r"^\| `([\w-]+)` \| [^|]* \|$", DOC, re.MULTILINE)) == set(ALLOWANCES)
