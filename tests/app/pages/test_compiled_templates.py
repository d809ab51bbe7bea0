"""Compiled templates are kept beside their sources where that is possible, and nothing depends on it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from app.pages.environment import page_environment
from app.templating import CompiledTemplates


def environment(templates: Path, folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(templates), autoescape=True, bytecode_cache=CompiledTemplates(folder)
    )


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "page.html").write_text("<p>{{ 1 + x }}</p>")
    return folder


def test_a_second_process_does_not_compile_them(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = templates / "__pycache__"
    assert environment(templates, folder).get_template("page.html").render(x=1) == "<p>2</p>"
    second = environment(templates, folder)
    monkeypatch.setattr(second, "compile", None)
    assert second.get_template("page.html").render(x=2) == "<p>3</p>"


def test_a_changed_template_is_compiled_again(templates: Path) -> None:
    folder = templates / "__pycache__"
    environment(templates, folder).get_template("page.html")
    (templates / "page.html").write_text("{{ x }}")
    assert environment(templates, folder).get_template("page.html").render(x=2) == "2"


def test_a_folder_that_cannot_be_written_is_not_an_error(templates: Path) -> None:
    (templates.parent / "file").touch()
    made = environment(templates, templates.parent / "file" / "__pycache__")
    assert made.get_template("page.html").render(x=1) == "<p>2</p>"


def test_a_truncated_file_is_not_an_error(templates: Path) -> None:
    folder = templates / "__pycache__"
    environment(templates, folder).get_template("page.html")
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:40])
    assert environment(templates, folder).get_template("page.html").render(x=1) == "<p>2</p>"


def test_no_template_applies_a_filter_to_a_constant() -> None:
    """Jinja would apply it when it compiles the template, and the cache would keep a result of old code."""
    env = page_environment()
    constant = []
    for name in env.list_templates(extensions=["html"]):
        tree = env.parse(env.loader.get_source(env, name)[0] if env.loader else "")
        for node in tree.find_all((nodes.Filter, nodes.Test)):
            with contextlib.suppress(nodes.Impossible):
                node.as_const(nodes.EvalContext(env))
                constant.append(f"{name}:{node.lineno}")
    assert constant == []
