"""docs/http.md and the tests agree: each row has its vectors or its test, and each vector has a row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engines.differential import ALLOWANCES
from tests.engines.http.test_differential import STREAMS
from tests.engines.malformed import ACCEPTED, LIMITS, MALFORMED
from tests.engines.streams import MUTATIONS

TESTS = Path(__file__).parents[1]
DOC = (TESTS.parents[1] / "docs" / "http.md").read_text()


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


def test_every_row_is_parsed_and_has_a_unique_id() -> None:
    names = [line.name for line in lines()]
    assert len(names) == len(set(names)) == len(re.findall(r"^\| `", DOC, re.MULTILINE)) - len(ALLOWANCES)


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.name)
def test_each_row_names_vectors_or_a_test_that_exists(line: Line) -> None:
    assert re.fullmatch(r"(9110 )?\w+(\.\d+)*", line.section)
    if line.held_by == "vectors":
        assert vectors()[line.name] == {line.decision}
    else:
        tests = "".join(file.read_text() for file in TESTS.rglob("test_*.py"))
        for name in re.findall(r"`(\w+)`", line.held_by) or ["nothing"]:
            assert f"def {name}(" in tests


def test_each_vector_has_a_row() -> None:
    assert set(vectors()) == {line.name for line in lines() if line.held_by == "vectors"}


def test_no_vector_exists_twice() -> None:
    for some in ((*MALFORMED, *LIMITS), ACCEPTED):
        names = [(each.line, each.name) for each in some]
        assert len(names) == len(set(names))
        data = [each.data for each in some]
        assert len(data) == len(set(data))


def test_each_difference_has_a_reason() -> None:
    reasons = set(re.findall(r"^- `([\w.-]+)`: \S", DOC, re.MULTILINE))
    assert reasons == {line.name for line in lines() if line.differs}


def test_the_numbers_in_the_text_are_those_of_the_tests() -> None:
    text = " ".join(DOC.split())
    assert f"by {len(MUTATIONS)} kinds of mutation" in text
    assert f"runs {STREAMS} streams" in text
    assert set(re.findall(r"^\| `([\w-]+)` \| [^|]* \|$", DOC, re.MULTILINE)) == set(ALLOWANCES)
