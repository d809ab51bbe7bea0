"""Folders of templates and static files: beside `app` in a checkout, inside `app` in a wheel."""

from __future__ import annotations

from pathlib import Path

_APP = Path(__file__).resolve().parent
_WEB = _APP / "_web" if (_APP / "_web").is_dir() else _APP.parent

TEMPLATES = _WEB / "templates"
STATIC = _WEB / "static"
# The folder of a checkout, in which any interpreter finds `engines`; None: the lab was installed by a wheel.
CHECKOUT = _APP.parent if (_APP.parent / "pyproject.toml").is_file() else None
