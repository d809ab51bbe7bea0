"""Vendored files, templates, and every command, setting, route, knob and file that the docs name exist."""

from __future__ import annotations

import gzip
import hashlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from jinja2 import Environment, meta

from app import paths
from app.pages.environment import page_environment
from app.servers.catalogue import load_catalogue
from app.settings import Settings
from engines.catalogue import model_modules
from engines.common.contract import all_knobs

from .app.command_line import command_name, options_of_commands
from .app.driver import app_without_lab
from .test_layers import LAYERS

ROOT = Path(__file__).parents[1]
VENDOR = paths.STATIC / "vendor"
# Compressed, as they are sent: what is needed before a page can be used, and with the live view of an engine,
# which is loaded when there is one.
FIRST_BYTES_MAX = 52 * 1024
LIVE_BYTES_MAX = 116 * 1024
IMPORTS = re.compile(r'(?:from|@?import)\s*"(\.[^"]+|[\w/-]+\.css)"')
LATER_IMPORTS = re.compile(r'(?:import\(|new URL\()"(\.[^"]+)"')
BLOCK = re.compile(r"{% block (\w+) %}(.*?){% endblock %}", re.DOTALL)
DOCS = sorted({ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")})
NAMED = pytest.mark.parametrize("doc", DOCS, ids=[str(doc.relative_to(ROOT)) for doc in DOCS])


# Vendored files and weight


def vendored() -> dict[str, str]:
    """File and SHA-256, from the table."""
    text = (VENDOR / "VENDORED.md").read_text()
    return dict(re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", text, re.MULTILINE))


def test_vendored_files_are_those_of_the_table() -> None:
    found = {
        str(file.relative_to(VENDOR)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.rglob("*")
        if file.is_file() and file.name != "VENDORED.md"
    }
    assert found == vendored() != {}


def imported(file: Path, *, later: bool = True) -> list[str]:
    """Return the relative URLs that a module or style sheet imports, at once or later."""
    text = file.read_text()
    return IMPORTS.findall(text) + (LATER_IMPORTS.findall(text) if later else [])


def packed(files: set[Path]) -> int:
    """Return the sum of the compressed sizes of files, in bytes."""
    return sum(len(gzip.compress(file.read_bytes())) for file in files)


def loaded(page: Path, *, later: bool = True) -> set[Path]:
    """Return the scripts and style sheets of a page with all that they import, at once or later.

    Without modules of collapsed sections, which are loaded when they are opened, and without <noscript>.
    """
    own: dict[str, str] = dict(BLOCK.findall(page.read_text()))
    text = BLOCK.sub(
        lambda block: own.get(str(block[1]), str(block[2])), (paths.TEMPLATES / "base.html").read_text()
    )
    text = re.sub(r"<noscript>.*?</noscript>", "", text, flags=re.DOTALL)
    names = re.findall(r"asset\(['\"]([^'\"]+)['\"]\)", text)
    waiting, found = [paths.STATIC / name for name in names], set[Path]()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            imports = [] if VENDOR in file.parents else imported(file, later=later)
            waiting += [(file.parent / name).resolve() for name in imports]
    return {file for file in found if file.suffix in (".js", ".css")}


@pytest.mark.parametrize(
    "page", sorted((paths.TEMPLATES / "pages").glob("*.html")), ids=lambda page: page.stem
)
def test_what_a_page_loads_is_light(page: Path) -> None:
    assert 20_000 < packed(loaded(page)) <= LIVE_BYTES_MAX


def test_the_workbench_loads_the_live_view_later() -> None:
    lab = paths.TEMPLATES / "pages/workbench.html"
    assert packed(loaded(lab, later=False)) <= FIRST_BYTES_MAX
    assert packed(loaded(lab)) > 100_000


def test_what_a_fold_loads_when_it_is_opened_is_there() -> None:
    text = "".join(file.read_text() for file in paths.TEMPLATES.rglob("*.html"))
    named = set(re.findall(r'data-module="([\w/-]+)"', text))
    assert named and all((paths.STATIC / f"js/{name}.js").is_file() for name in named)


def test_modules_and_style_sheets_import_what_is_there() -> None:
    for file in paths.STATIC.rglob("*"):
        if file.suffix in (".js", ".css") and VENDOR not in file.parents:
            for name in imported(file):
                assert (file.parent / name).resolve().is_file(), f"{file.name} imports {name}"


# Templates


@cache
def templates() -> Environment:
    return page_environment()


@pytest.mark.parametrize(
    "name", [str(f.relative_to(paths.TEMPLATES)) for f in sorted(paths.TEMPLATES.rglob("*.html"))]
)
def test_a_template_compiles_and_refers_to_what_is_there(name: str) -> None:
    env = templates()
    env.get_template(name)
    source = (paths.TEMPLATES / name).read_text()
    for other in meta.find_referenced_templates(env.parse(source)):
        assert other and (paths.TEMPLATES / other).is_file()
    for asset in re.findall(r"asset\(['\"]([^'\"]+)['\"]\)", source):
        assert (paths.STATIC / asset).is_file(), asset
    assert not re.search(r"\shx-on|\son[a-z]+=|\sstyle=|\|\s*safe\b(?! if| }})(?<!safe)", source)
    assert "js:" not in source


# What the docs name


def spans(text: str) -> Iterator[str]:
    """Code: the lines of fenced blocks, and what stands between backticks outside of them."""
    fenced = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for block in fenced.findall(text):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`\n]+)`", fenced.sub("", text))


@cache
def flags() -> dict[str, set[str]]:
    """Every subcommand and its flags."""
    return options_of_commands()


@cache
def routes() -> tuple[str, ...]:
    """Every path of the application, its parameters as {}."""
    app = app_without_lab()
    found = {route.path for route in app.routes if hasattr(route, "path")} | set(app.openapi()["paths"])
    found |= {"/", "/runs", "/runs/{id}", "/models", "/models/{name}", "/about", "/api/docs", "/ws/v1/live"}
    return tuple(re.sub(r"\{\w+\}", "{}", path) for path in found)


def exists(path: str) -> bool:
    """Whether a path names a route; `ID`, `{id}`, `N`, numbers and engine ids stand for parameters."""
    parts = path.split("?")[0].rstrip("/").split("/")
    for route in routes():
        known = route.rstrip("/").split("/")
        if len(known) == len(parts) and all(a == b or a == "{}" for a, b in zip(known, parts, strict=True)):
            return True
    return path.startswith("/static/")


def commands(text: str, name: str) -> Iterator[list[str]]:
    """Every call of a program in the code of a document, its words after the program."""
    for span in spans(text):
        for call in re.split(r"\s*(?:&&|\|\||;|\|(?=\s[a-z]))\s*", span.partition(" #")[0]):
            try:
                parts = shlex.split(call)
            except ValueError:
                continue  # not a shell line
            if name in parts[:3]:
                yield parts[parts.index(name) + 1 :]


@NAMED
def test_every_command_that_is_named_exists(doc: Path) -> None:
    for words in commands(doc.read_text(), "threadlab"):
        for each in words[:1]:
            for command in each.split("|"):
                if re.fullmatch(r"[a-z]+", command):
                    assert command in flags(), f"threadlab {command}"
        if words and words[0] in flags() and words[0] != "engine":
            given = {word.split("=")[0] for word in words[1:] if re.match(r"--[a-z]", word)}
            assert given <= flags()[command_name(words)], f"threadlab {' '.join(words)}"


EXAMPLES = {
    path.stem.replace("_", "-") for path in (ROOT / "docs" / "examples").glob("*.py")
}  # models, one a file


@NAMED
def test_every_setting_that_is_named_exists(doc: Path) -> None:
    named = set(re.findall(r"\bTHREADLAB_([A-Z_]*[A-Z])\b", doc.read_text()))
    compose = ROOT / "docker-compose.yml"  # it has a few variables of compose
    own = set(re.findall(r"\$\{THREADLAB_([A-Z_]+)", compose.read_text())) if compose.exists() else set()
    assert {name.lower() for name in named - own} <= set(Settings.model_fields)


@NAMED
def test_every_route_that_is_named_exists(doc: Path) -> None:
    text = " ".join(spans(doc.read_text()))
    named = set(
        re.findall(r"(?<![\w.])(/(?:api/v1|ws|healthz|readyz|metrics|runs|models|about)[\w/{}.-]*)", text)
    )
    named |= set(re.findall(r"(?:localhost|127\.0\.0\.1):8000(/[\w/{}.-]*)", text))
    missing = {
        path for path in named if not exists(re.sub(r"\{\w+\}|\bID\b|\bN\b", "1", path)) and path != "/api/v1"
    }
    assert missing == set()


@NAMED
def test_every_make_target_that_is_named_exists(doc: Path) -> None:
    named = {
        word
        for words in commands(doc.read_text(), "make")
        for word in words[:1]
        if re.fullmatch(r"[a-z-]+", word)
    }
    if named:
        makefile = (ROOT / "Makefile").read_text()
        assert {
            name for name in named if not re.search(rf"^[\w -]*\b{name}\b[\w -]*:", makefile, re.MULTILINE)
        } == set()


@NAMED
def test_every_model_and_knob_that_is_set_exists(doc: Path) -> None:
    servers = load_catalogue(None, model_modules())
    knobs = {knob.name for module in model_modules().values() for knob in all_knobs(module.MODEL)}
    knobs |= {knob.name for each in servers.values() for knob in each.all_knobs}
    text = doc.read_text()
    for span in spans(text):
        for knob in re.findall(r"--set (\w+)=", span):
            assert knob in knobs
        for model in re.findall(r"(?:threadlab (?:run|engine)|-m engines) ([a-z-]+)", span):
            assert model in (*model_modules(), *servers, *EXAMPLES) or model.startswith("-"), span


@NAMED
def test_every_file_that_is_linked_or_named_is_there(doc: Path) -> None:
    text = doc.read_text()
    linked = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text) + re.findall(
        r'src="(?!https?:)([^"]+)"', text
    )
    for name in linked:
        assert (doc.parent / name).exists(), name
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.fullmatch(r"(?:app|engines|templates|static|tests|deploy|docs)/[\w./-]*", span):
            assert (ROOT / span).exists(), span


def test_every_picture_is_shown_in_a_document() -> None:
    texts = "".join(doc.read_text(encoding="utf-8") for doc in DOCS)
    pictures = [each.name for each in (ROOT / "docs/screenshots").iterdir()]
    assert [name for name in pictures if f"screenshots/{name}" not in texts] == []


def test_the_layers_of_the_architecture_page_are_those_that_are_tested() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text().split("\n## Layers\n")[1].split("\n## ")[0]
    packages = [row.split(" | ")[1] for row in section.splitlines() if row.startswith("| ")][2:]
    assert tuple(name for cell in packages for name in re.findall(r"`(\w+)`", cell)) == LAYERS


def test_readme_says_how_to_run_and_test_first() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:45])
    assert "make run" in first_screen and "make test" in first_screen and "![" in first_screen


def test_each_promise_of_security_names_tests_that_there_are() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    files = {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"\btest_\w+", text))
    assert len(named) > 15 and named - files == set()
    promises = re.findall(r"^\d+\. .*?(?=^\d+\. |^$|^#)", text, re.MULTILINE | re.DOTALL)
    assert len(promises) == 24 and [promise for promise in promises if "test_" not in promise] == []
