"""The code of thread states that a model's file does not set itself, but a module that it imports.

The main-sub model waits and accepts in its file; its sub-reactors read, handle and write in reactor.py. The
page of a model shows those functions below its file, so that every state leads to its code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from app.pages.source import MARKS, SOURCES_MAX, Line, set_states, source_lines

PACKAGE = "engines"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Functions of another module. `file`: engines/reactor.py."""

    file: str
    lines: tuple[Line, ...]

    @property
    def id(self) -> str:
        """A prefix that makes the ids of its lines unique: "engines-reactor"."""
        return self.file.removesuffix(".py").replace("/", "-")


@lru_cache(SOURCES_MAX)  # 0.1 s for a model
def code_excerpts(source: str) -> tuple[Excerpt, ...]:
    """Return a function for each state that `source` does not set and a module that it imports does.

    Raises SyntaxError if `source` is not Python.
    """
    missing = {mark.lower() for mark in MARKS} - set_states(ast.parse(source))
    found = []
    for file, text in _imported(source):
        if not missing:
            break
        numbers: set[int] = set()
        for function in _innermost_functions(ast.parse(text)):
            if states := set_states(function) & missing:
                missing -= states
                numbers |= {*range(function.lineno, (function.end_lineno or 0) + 1)}
        if numbers:
            found.append(Excerpt(file, tuple(line for line in source_lines(text) if line.number in numbers)))
    return tuple(found)


def _imported(source: str) -> Iterator[tuple[str, str]]:
    """Yield file and text of the engine modules that `source` imports: models first, then their imports."""
    queue, seen = _engine_modules(source), set()
    while queue:
        module = queue.pop(0)
        spec = None if module in seen else find_spec(module)
        seen.add(module)
        if spec and spec.origin:
            text = Path(spec.origin).read_text(encoding="utf-8")
            yield f"{module.replace('.', '/')}.py", text
            queue += _engine_modules(text)


def _engine_modules(source: str) -> list[str]:
    """Return the modules of the engines that `source` imports. Models are directly in the package."""
    nodes = ast.walk(ast.parse(source))
    names = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return sorted(
        (name for name in names if name.startswith(f"{PACKAGE}.")), key=lambda name: name.count(".")
    )


def _innermost_functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Return the functions that contain no further ones."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [each for each in functions if sum(node in functions for node in ast.walk(each)) == 1]
