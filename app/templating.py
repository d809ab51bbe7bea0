"""The Jinja environment of pages and reports, with its filters.

The filters format values: numbers and times by `app.format`, plans and figures by their packages. None of
them reads the application's state. The page package adds its own filters (app/pages/environment.py).
"""

from __future__ import annotations

import contextlib
import pickle
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from app import assets
from app.comparisons.sentences import RELATIONS
from app.experiments.checks import WORDS
from app.format import (
    DASH,
    change,
    clock_offset,
    count,
    cpus,
    decimal,
    duration,
    environment_fact,
    fact,
    figure_label,
    knob,
    knobs,
    label,
    percent,
    port_range,
    quantity,
    rate,
    share,
    size,
    us,
    when,
)
from app.plans.text import groups_text, plan_fields, stages_text, work_text
from app.results import figures, fitness
from app.results.checks import capitalised
from app.results.limit_lines import limit_lines
from app.schemas.result import Fairness, Summary
from app.schemas.run import WARM_UP_ENDS, RunView, TimelineEvent


def marks(values: Sequence[TimelineEvent]) -> list[dict[str, Any]]:
    """Return the marks of a run for its charts, without the end of the warm-up, which they draw as a band."""
    return [{"at": mark.t_s, "label": mark.text} for mark in values if mark.text != WARM_UP_ENDS]


def limits(run: RunView) -> list[dict[str, Any]]:
    """Return the latency limits of a run for its charts."""
    return [asdict(line) for line in limit_lines(run)]


def config_value(value: Any, name: str) -> str:
    """Return a field of a run's plan, knobs or environment as text; lists of a plan as users type them."""
    if name == "work" and value:
        return work_text(value)
    if name == "stages" and value:
        return stages_text(value)
    if name == "groups" and value:
        return groups_text(value)
    return environment_fact(value, name)


def doc_parts(doc: str) -> Iterator[tuple[str, str | Markup]]:
    """Yield the parts of a docstring: ("picture", indented block) and ("prose", unwrapped paragraph)."""
    for block in re.split(r"\n\s*\n", doc.strip("\n")):
        lines = block.splitlines()
        if all(line.startswith(" ") for line in lines):
            yield "picture", textwrap.dedent(block)
        else:
            yield "prose", with_code(" ".join(line.strip() for line in lines))


def with_code(text: str) -> Markup:
    """Return text as HTML in which `name` in backquotes is a `<code>` element."""
    parts = (
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def figure_title(name: str) -> str:
    """Return the title of a figure of app/results/figures.py: "p99 response time of plaintext"."""
    return figures.figure(name).title


def figure_text(value: float | None, name: str) -> str:
    """Return a value of a figure with its unit: "33.0 µs"."""
    return figures.figure(name).text(value)


def main_value(run: RunView) -> str:
    """Return the value of a run's main figure with its unit."""
    assert run.verdict
    of = figures.figure(run.verdict.figure)
    return of.text(of.value(run.summary, run.ledger, run.capacity))


def resolution(run: RunView, name: str) -> float | None:
    """Return by how many µs the load generator's lateness changes a percentile; None where it is unknown."""
    if name.rpartition(".")[2] not in figures.PERCENTILES:
        return None
    return fitness.lateness_effect_us(figures.figure(name), run.summary)


def fair_loads(summary: Summary) -> dict[str, Fairness]:
    """Return the requests per connection of each load that has them, by its name."""
    loads = {"main load": summary, **summary.groups}
    return {name: load.fairness for name, load in loads.items() if load.fairness}


FAIRNESS_HELP = (
    "Responses of each connection in the measured time; a Jain index well below 1 means that some clients "
    "wait while others are served."
)
FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "rate": rate,
    "us": us,
    "clock_offset": clock_offset,
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
    "environment_fact": environment_fact,
    "port_range": port_range,
    "words": label,
    "figure": quantity,
    "change": change,
    "figure_name": figure_label,
    "unlike_value": config_value,
    "plan_fields": plan_fields,
    "doc_parts": doc_parts,
    "with_code": with_code,
    "marks": marks,
    "limits": limits,
    "figure_title": figure_title,
    "figure_text": figure_text,
    "main_value": main_value,
    "spoiled": fitness.invalid_figures,
    "resolution": resolution,
    "relation": RELATIONS.__getitem__,
    "answer": WORDS.__getitem__,
    "sentence": capitalised,
    "fair_loads": fair_loads,
}


class CompiledTemplates(FileSystemBytecodeCache):
    """Keeps compiled templates beside their sources, as Python does; compiling those of a page takes 0.5 s.

    Where nothing can be written, each process compiles them itself.
    """

    def __init__(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
        super().__init__(str(folder), f"jinja-{jinja2.__version__}-%s.cache")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a compiled template, if it is there and complete."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write a compiled template, if possible."""
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def make_environment(templates: Path, root: str = "", hue: Callable[[str], str] = str) -> Environment:
    """Return an environment with autoescape everywhere, in which an undefined name is an error.

    Macros are available in every template as `ui`, `ans`, `plt`, `rep`, `art` and `cmp`. `root`: the
    path prefix under which a proxy serves the application; templates put it before every address. `hue`
    returns the model whose colour and shape a model or an external server has.
    """
    env = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=None if sys.dont_write_bytecode else CompiledTemplates(templates / "__pycache__"),
    )
    env.filters.update(FILTERS)
    env.filters["hue"] = hue
    env.globals["root"] = root
    env.globals["asset"] = lambda path: root + assets.url(path)
    env.globals["DASH"] = DASH
    env.globals["fairness_help"] = FAIRNESS_HELP
    env.globals["ans"] = env.get_template("macros/answers.html").module
    env.globals["art"] = env.get_template("macros/diagrams.html").module
    env.globals["cmp"] = env.get_template("macros/compared.html").module
    env.globals["plt"] = env.get_template("macros/plots.html").module
    env.globals["rep"] = env.get_template("macros/replay.html").module
    env.globals["ui"] = env.get_template("macros/ui.html").module
    return env


def render_block(env: Environment, template: str, block: str, context: Mapping[str, Any]) -> str:
    """Return one block of a page, as HTMX swaps it. Code outside of the block does not run."""
    page = env.get_template(template)
    return "".join(page.blocks[block](page.new_context(dict(context))))
