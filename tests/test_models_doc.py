"""docs/models.md and the model pages contain the complete descriptions of the model modules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from app import paths
from app.fleet.models import _view
from app.pages.cards import Card
from app.pages.environment import page_environment
from engines.catalogue import describe, literature, model_modules
from tests.waiting import BOUND_S

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "models.md"
TOKENS = (paths.STATIC / "css" / "tokens.css").read_text(encoding="utf-8")
each_model = pytest.mark.parametrize("name", list(model_modules()))
# Names from the literature, and the model that explains each.
NAMES = {
    "Thread per connection": "blocking",
    "Reactor": "reactor",
    "Half-Sync/Half-Async": "reactor-pool",
    "Leader/Followers": "reactor-pool",
    "Boss/worker, with a pool": "reactor-pool",
    "Multiple Reactors": "main-sub",
    "Proactor": "proactor",
    "Preforked server": "prefork",
}


@cache
def environment() -> Environment:
    return page_environment()


@cache
def descriptions() -> dict[str, dict[str, Any]]:
    """Return the description of every model after a round trip through JSON."""
    return {name: json.loads(json.dumps(describe(module))) for name, module in model_modules().items()}


def test_the_page_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_models.py"],
        input=json.dumps(list(descriptions().values())),
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=True,
    )
    assert PAGE.read_text(encoding="utf-8") == made.stdout, "docs/models.md is out of date: run `make docs`"


@each_model
def test_a_chapter_contains_the_whole_description(name: str) -> None:
    text = " ".join(chapter(name).split())
    description = descriptions()[name]
    terms = [term[key] for term in description["literature"] for key in ("name", "says", "source")]
    assert [
        each
        for each in (*description["pros"], *description["cons"], *description["used_by"], *terms)
        if each not in text
    ] == []
    assert [
        knob["name"]
        for knob in description["knobs"]
        if not knob["common"] and f"`{knob['name']}`" not in text
    ] == []
    assert "──" in text and "**In the lab.** Watch " in text
    assert [role["restaurant"] for role in description["roles"] if role["restaurant"] not in text] == []


def chapter(name: str) -> str:
    after = PAGE.read_text(encoding="utf-8").split(f"\n## {name}\n")[1]
    return after.partition("\n## ")[0]


@each_model
def test_the_model_page_contains_the_whole_description(name: str) -> None:
    view = _view(descriptions()[name])
    page = environment().get_template("pages/model.html")
    context: dict[str, Any] = {
        "card": Card(view, None, (), "stopped", {}),
        "run": None,
        "scenarios": [],
        "first_load": "",
    }
    text = (
        unescape(page.render(model=view, previous=None, next=None, tested={}, **context))
        .replace("<code>", "`")
        .replace("</code>", "`")
    )
    terms = [each for term in view.literature for each in (term.name, term.says, term.source)]
    notes = (*view.pros, *view.cons, *view.used_by, *view.when_to_use, view.linux, view.windows)
    assert [each for each in (*notes, *terms, view.summary) if each not in text] == []
    assert [knob.help for knob in view.knobs if knob.help not in text] == []
    assert [role.restaurant for role in view.roles if role.restaurant not in text] == []


@each_model
def test_each_model_has_its_own_diagram_marker_and_colour(name: str) -> None:
    art = environment().globals["art"]
    assert str(art.diagram(name)) != str(art.diagram("no such model")).replace("no such model", name)  # type: ignore[attr-defined]
    assert 'role="img"' in str(art.large_diagram(name))  # type: ignore[attr-defined]
    rules = re.findall(
        r'^\[data-model="([\w-]+)"\] \{\s+--model: var\((--\w+)\);\s+--shape: ([^;]+);\s+\}',
        TOKENS,
        re.MULTILINE,
    )
    mine = [(hue, shape) for model, hue, shape in rules if model == name]
    assert len(mine) == 1
    assert not set(mine[0]) & {each for model, *both in rules if model != name for each in both}
    light, dark = re.findall(rf"{mine[0][0]}: light-dark\((#\w+), (#\w+)\)", TOKENS)[0]
    assert contrast(light, "#ffffff") >= 5
    assert contrast(dark, "#0f1419") >= 7.6


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("term", "model"), NAMES.items())
def test_names_of_the_literature_are_explained(term: str, model: str) -> None:
    assert term in [each["name"] for each in descriptions()[model]["literature"]]


def test_the_literature_names_only_existing_models() -> None:
    assert set(literature()) <= set(model_modules())
    for description in literature().values():
        assert set(description) <= {
            "literature",
            "pros",
            "cons",
            "used_by",
            "aliases",
            "restaurant",
            "when_to_use",
            "linux",
            "windows",
        }
        for term in description["literature"]:
            assert set(term) == {"name", "says", "source"}
            assert term["says"].endswith(".") and not term["source"].endswith(".")
