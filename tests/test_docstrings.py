"""Public modules, classes, functions and methods have a docstring that says more than their name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.test_imports import parsed, sources

# The share of public definitions with a docstring, in percent. It may only be raised.
FLOORS = {
    "engines": 95,
    "app": 95,
}
THIRD_PERSON = re.compile(
    r"(Add|Answer|Call|Clos|Compar|Connect|Keep|Mak|Open|Read|Return|Run|Send|Show|Start|Stop|Submit|Tick|"
    r"Updat|Writ|Yield)e?s\b"
)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Public(NamedTuple):
    place: str  # such as "engines/reactor.py Reactor.run"
    name: str
    doc: str | None


def public(package: str) -> Iterator[Public]:
    """Every public definition of a package that is not exempt, and every module that is not empty."""
    for path in sources(package):
        tree = parsed(path)
        if tree.body:
            yield Public(str(path), path.stem, ast.get_docstring(tree))
        for name, node in definitions(tree, ""):
            if not exempt(node):
                yield Public(f"{path} {name}", node.name, ast.get_docstring(node))


def definitions(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    """Functions and classes of a module, and of its public classes; those with an underscore are left out."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from definitions(child, f"{prefix}{child.name}.")


def exempt(node: Definition) -> bool:
    """A property of one statement, or an overload or override, needs none."""
    if isinstance(node, ast.ClassDef):
        return False
    decorators = {ast.unparse(each).split("(")[0] for each in node.decorator_list}
    return bool(decorators & {"property", "cached_property"}) and len(node.body) == 1


def words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Za-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))}


@pytest.mark.parametrize("package", FLOORS)
def test_enough_public_definitions_have_a_docstring(package: str) -> None:
    found = list(public(package))
    missing = [each.place for each in found if not each.doc]
    share = 100 * (len(found) - len(missing)) / len(found)
    assert share >= FLOORS[package], f"{share:.1f} % of {len(found)}; without: " + "\n".join(missing)


@pytest.mark.parametrize("package", FLOORS)
def test_a_docstring_says_more_than_the_name(package: str) -> None:
    said = [(each, words(each.doc.splitlines()[0])) for each in public(package) if each.doc]
    empty = {"the", "a", "an", "of", "this", "is"}
    assert [each.place for each, told in said if told and told - empty <= words(each.name)] == []


@pytest.mark.parametrize("package", FLOORS)
def test_the_docstring_of_a_function_is_imperative(package: str) -> None:
    functions = (
        (path, node)
        for path in sources(package)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [
        f"{path} {node.name}" for path, node in functions if THIRD_PERSON.match(ast.get_docstring(node) or "")
    ] == []


def test_a_missing_docstring_and_a_repeated_name_are_seen() -> None:
    tree = ast.parse('class Old:\n    """The old."""\n    def run(self): ...\n    def _private(self): ...\n')
    found = {name: ast.get_docstring(node) for name, node in definitions(tree, "")}
    assert found == {"Old": "The old.", "Old.run": None}
    assert words("The old.") - {"the"} <= words("Old")
