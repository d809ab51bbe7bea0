"""The Jinja environment of the pages: the common one, lists of exports, and source-code highlighting."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment

from app import paths
from app.pages.code_excerpts import code_excerpts
from app.pages.source import source_lines, state_lines
from app.report import comparison_exports, experiment_exports, run_exports
from app.templating import make_environment


def page_environment(root: str = "", hue: Callable[[str], str] = str) -> Environment:
    """Return the environment of the pages.

    `root`: the path prefix under which a proxy serves them. `hue`: see `make_environment`.
    """
    environment = make_environment(paths.TEMPLATES, root, hue)
    environment.filters["source_lines"] = source_lines
    environment.filters["code_excerpts"] = code_excerpts
    environment.filters["state_lines"] = state_lines
    environment.globals["run_exports"] = run_exports.EXPORTS
    environment.globals["experiment_exports"] = experiment_exports.EXPORTS
    environment.globals["comparison_exports"] = comparison_exports.EXPORTS
    return environment
