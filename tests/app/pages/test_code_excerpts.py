"""The functions that set the thread states which a model's file does not set itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pages.code_excerpts import code_excerpts
from app.pages.source import source_lines

ENGINES = Path("engines")
# "queue" is a state of models with a pool of workers only.
ALL = {"waiting", "accepting", "reading", "handling", "writing", "blocked"}
STATES = {
    "blocking": ALL,
    "reactor": ALL,
    "reactor_pool": ALL | {"queue"},
    "main_sub": ALL | {"queue"},
    "proactor": ALL | {"queue"},
    "prefork": ALL,
}


@pytest.mark.parametrize("name", STATES)
def test_every_state_of_a_model_has_code_on_its_page(name: str) -> None:
    source = (ENGINES / f"{name}.py").read_text()
    lines = [*source_lines(source), *(line for each in code_excerpts(source) for line in each.lines)]
    assert {state for line in lines for state in line.states} == STATES[name]


def test_an_excerpt_has_whole_functions_of_the_module_that_is_imported() -> None:
    excerpts = code_excerpts((ENGINES / "main_sub.py").read_text())
    assert [each.file for each in excerpts][:2] == ["engines/reactor.py", "engines/reactor_pool.py"]
    reactor = (ENGINES / "reactor.py").read_text().splitlines()
    first = excerpts[0].lines[0]
    assert reactor[first.number - 1].strip() == "def run(self) -> None:"
    assert excerpts[0].id == "engines-reactor"


def test_a_model_that_imports_nothing_of_the_engines_has_no_excerpts() -> None:
    assert code_excerpts('"""Alone."""\nimport os\n') == ()
