"""The Jinja environment of the pages: the common one, and the filter that colours source code."""

from __future__ import annotations

from jinja2 import Environment

from app import paths
from app.pages.source import source_lines
from app.templating import make_environment


def page_environment(root: str = "") -> Environment:
    """Return the environment. `root`: the path under which a proxy serves the lab, before every address."""
    environment = make_environment(paths.TEMPLATES, root)
    environment.filters["source_lines"] = source_lines
    return environment
