"""The work of every regular expression and every parser is proportional to the length of the text.

The tables of tests/patterns name the worst texts for each; a walk over the sources fails for an expression
without a row. Nothing here reads a clock. A matcher counts the steps that a backtracking engine takes
(tests/patterns/matcher.py), and a tracer counts the instructions that a parser executes
(tests/patterns/opcodes.py). With 4 times the text, linear code takes 4 times as many, quadratic code 16
times. tests/measure/test_patterns.py measures the CPU time of the same rows, which includes the work of C
code.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.driver import app_without_lab
from tests.patterns.matcher import Matcher, TooManySteps
from tests.patterns.opcodes import TooManyInstructions, executed
from tests.patterns.rows import NOT_LINEAR, PATTERNS, READERS, Use, route_pattern
from tests.patterns.texts import URLS, Text

ROOT = Path(__file__).parent.parent
FUNCTIONS = frozenset(
    ("compile", "match", "fullmatch", "search", "split", "sub", "subn", "findall", "finditer")
)
SHORT, LONG = 128, 512
GROWTH_MAX = 2 * LONG // SHORT  # 8: linear code has 4, quadratic code 16
STEPS_MAX = 1000 * SHORT  # for the short text: only exponential code needs more
INSTRUCTIONS_MAX = 2_000_000
INSTRUCTIONS_IGNORED = 1000  # a long text may take a branch that a short one does not


@pytest.fixture(autouse=True)
def deep_recursion() -> Iterator[None]:
    """The matcher recurses for each repetition of a group."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


def steps(use: Use, text: Any, steps_max: int) -> int:
    """Return the number of steps of a method of a pattern on a text."""
    matcher = Matcher(use.__self__, text, steps_max)  # type: ignore[attr-defined]
    matcher.spans(use.__name__)
    return matcher.steps


def grows_too_fast_in_steps(use: Use, make: Text) -> bool:
    try:
        allowed = GROWTH_MAX * steps(use, make(SHORT), STEPS_MAX)
        steps(use, make(LONG), allowed)
    except TooManySteps:
        return True
    return False


def grows_too_fast_in_instructions(use: Use, make: Text) -> bool:
    try:
        for length in (SHORT, LONG):
            executed(use, make(length), INSTRUCTIONS_MAX)  # fills caches, such as that of compiled patterns
        allowed = GROWTH_MAX * executed(use, make(SHORT), INSTRUCTIONS_MAX) + INSTRUCTIONS_IGNORED
        executed(use, make(LONG), int(allowed))
    except TooManyInstructions:
        return True
    return False


def uses(source: str, file: str) -> Iterator[str]:
    """Yield every pattern of a file by its name, or by its source if it has no name."""
    tree = ast.parse(source)
    named = {id(inner): name for name, value in assignments(tree) for inner in ast.walk(value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            yield f"{file} from re import"  # the walk would not find its calls
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and is_re(node.func):
                yield f"{file} {named.get(id(node)) or ast.get_source_segment(source, node.args[0])}"
            for keyword in node.keywords:
                if keyword.arg in ("pattern", "regex"):
                    yield f"{file} {ast.get_source_segment(source, keyword.value)}"
    yield from (f"{file} {name}" for name, _ in assignments(tree) if name == "regex")


def assignments(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that modules and classes assign, and the assigned expressions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                    yield each.targets[0].id, each.value


def is_re(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "re" and function.attr in FUNCTIONS


def test_every_pattern_has_a_row() -> None:
    files = sorted(file for folder in ("app", "engines") for file in (ROOT / folder).rglob("*.py"))
    found = {use for file in files for use in uses(file.read_text(), str(file.relative_to(ROOT)))}
    assert len(files) > 100
    assert sorted(found) == sorted(PATTERNS)


@pytest.mark.parametrize("name", PATTERNS)
def test_the_matcher_finds_what_re_finds(name: str) -> None:
    use, texts = PATTERNS[name]
    pattern, method = use.__self__, use.__name__  # type: ignore[attr-defined]
    for make in texts:
        text = make(40)
        if method in ("match", "fullmatch", "search"):
            expected = [found.span() for found in [use(text)] if isinstance(found, re.Match)]
        else:
            expected = [found.span() for found in pattern.finditer(text)]
        assert Matcher(pattern, text, STEPS_MAX).spans(method) == expected, text


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_steps_in_proportion_to_the_text(name: str) -> None:
    use, texts = PATTERNS[name]
    assert [make(24) for make in texts if grows_too_fast_in_steps(use, make)] == []


@pytest.mark.parametrize("name", READERS)
def test_a_parser_executes_instructions_in_proportion_to_the_text(name: str) -> None:
    use, texts = READERS[name]
    assert [make(24) for make in texts if grows_too_fast_in_instructions(use, make)] == []


def test_a_route_is_found_in_steps_in_proportion_to_the_path() -> None:
    match = route_pattern(app_without_lab()).match
    assert [make(24) for make in URLS if grows_too_fast_in_steps(match, make)] == []


@pytest.mark.parametrize("which", NOT_LINEAR)
def test_code_that_is_not_linear_is_found(which: str) -> None:
    use, make = NOT_LINEAR[which]
    too_fast = grows_too_fast_in_instructions if which == "a nested loop" else grows_too_fast_in_steps
    assert too_fast(use, make)
