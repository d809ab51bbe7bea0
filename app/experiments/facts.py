"""The facts that some checks need besides trials: available models, their source code, earlier answers."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.fleet.models import Models
from app.schemas.states import Answer

# Support code that only some models use, by model: packages of engines/.
SUPPORT = {
    "blocking": ("threaded_io",),
    "reactor": ("readiness_io",),
    "reactor-pool": ("readiness_io",),
    "main-sub": ("readiness_io",),
    "proactor": ("completion_io",),
    "prefork": ("readiness_io", "prefork_io"),
}
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.ExceptHandler, ast.BoolOp, ast.Match)


def gather(names: tuple[str, ...], models: Models, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Return the facts with these names. Reads the sources of the engines."""
    known: dict[str, Callable[[], Any]] = {
        "models": lambda: {name: view.unavailable_reason for name, view in models.views.items()},
        "code": _code_sizes,
        "answers": lambda: dict(answers),
    }
    return {name: known[name]() for name in names}


def _code_sizes() -> dict[str, dict[str, int]]:
    """Return the lines and branches of each model: its module, and the support code that it uses."""
    return {model: _code_size(model, packages) for model, packages in SUPPORT.items()}


def _engines_folder() -> Path:
    """Return the folder of the engines, without importing them: the control plane only reads their text."""
    spec = importlib.util.find_spec("engines")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _code_size(model: str, packages: tuple[str, ...]) -> dict[str, int]:
    root = _engines_folder()
    files = [root / f"{model.replace('-', '_')}.py"]
    for package in packages:
        files += sorted((root / package).glob("*.py"))
    sources = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    return {
        "lines": sum(map(code_lines, sources)),
        "branches": sum(map(branches, sources)),
    }


def code_lines(source: str) -> int:
    """Return the number of lines that have code: without blank lines, comments and docstrings."""
    tree = ast.parse(source)
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            text = node.body[0]
            docstrings |= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in docstrings
        for number, line in enumerate(source.splitlines(), 1)
    )


def branches(source: str) -> int:
    """Return the number of places at which the code can go different ways."""
    return sum(isinstance(node, _BRANCHES) for node in ast.walk(ast.parse(source)))
