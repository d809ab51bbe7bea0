"""The Jinja environment of the pages and reports, with its filters."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app import assets
from app.format import (
    DASH,
    change,
    count,
    cpus,
    decimal,
    duration,
    fact,
    figure,
    figure_name,
    knob,
    knobs,
    percent,
    rate,
    share,
    size,
    us,
    when,
    words,
)
from app.plans.text import plan_fields, stages_text, work_text
from app.results import figures, fitness
from app.schemas.run import WARM_UP_ENDS, Mark, RunView


def marks(values: Sequence[Mark]) -> list[dict[str, Any]]:
    """What happened when, for the charts; the end of the warm-up is drawn as the end of its band."""
    return [{"at": mark.t_s, "label": mark.text} for mark in values if mark.text != WARM_UP_ENDS]


def unlike_value(value: Any, name: str) -> str:
    """What stood in a plan, a knob or the environment of one run."""
    if name == "work" and value:
        return work_text(value)
    if name == "stages" and value:
        return stages_text(value)
    return fact(value)


def doc_parts(doc: str) -> Iterator[tuple[str, str | Markup]]:
    """A docstring as ("picture", its lines as they stand) and ("prose", a paragraph to be set anew)."""
    for block in re.split(r"\n\s*\n", doc.strip("\n")):
        lines = block.splitlines()
        if all(line.startswith(" ") for line in lines):
            yield "picture", textwrap.dedent(block)
        else:
            yield "prose", with_code(" ".join(line.strip() for line in lines))


def with_code(text: str) -> Markup:
    """`name` in prose as code."""
    parts = (
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def figure_title(name: str) -> str:
    """What a figure of app/results/figures.py is called: "p99 response time of plaintext"."""
    return figures.figure(name).title


def figure_text(value: float | None, name: str) -> str:
    """Its value with its unit: "33.0 µs"."""
    return figures.figure(name).text(value)


def main_value(run: RunView) -> str:
    """The figure that a run is read for, with its unit."""
    assert run.verdict
    of = figures.figure(run.verdict.figure)
    return of.text(of.value(run.summary, run.ledger, run.capacity))


def resolution(run: RunView, name: str) -> float | None:
    """By how many µs the load generator's own lateness changes a percentile; None where that is not known."""
    if name.rpartition(".")[2] not in figures.PERCENTILES:
        return None
    return fitness.resolution_us(figures.figure(name), run.summary)


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "rate": rate,
    "us": us,
    "bytes": size,
    "decimal": decimal,
    "percent": percent,
    "share": share,
    "duration": duration,
    "when": when,
    "knob": knob,
    "knobs": knobs,
    "cpus": cpus,
    "fact": fact,
    "words": words,
    "figure": figure,
    "change": change,
    "figure_name": figure_name,
    "unlike_value": unlike_value,
    "plan_fields": plan_fields,
    "doc_parts": doc_parts,
    "with_code": with_code,
    "marks": marks,
    "figure_title": figure_title,
    "figure_text": figure_text,
    "main_value": main_value,
    "spoiled": fitness.spoiled,
    "resolution": resolution,
}


def make_environment(templates: Path, root: str = "") -> Environment:
    """Autoescape on everything, an unknown name is an error, macros in place once as `ui`.

    `root`: the path under which a proxy shows the lab, before every address.
    """
    env = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(FILTERS)
    env.globals["root"] = root
    env.globals["asset"] = lambda path: root + assets.address(path)
    env.globals["DASH"] = DASH
    env.globals["art"] = env.get_template("macros/diagrams.html").module
    env.globals["cmp"] = env.get_template("macros/compared.html").module
    env.globals["ui"] = env.get_template("macros/ui.html").module
    return env


def render_block(env: Environment, template: str, block: str, context: Mapping[str, Any]) -> str:
    """One block of a page: what HTMX swaps. The page around it does not run."""
    page = env.get_template(template)
    return "".join(page.blocks[block](page.new_context(dict(context))))
