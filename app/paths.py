"""Folders of templates and static files: beside `app` in a checkout, inside `app` in a wheel."""

from __future__ import annotations

from pathlib import Path

_APP = Path(__file__).resolve().parent
_WEB = _APP / "_web" if (_APP / "_web").is_dir() else _APP.parent

TEMPLATES = _WEB / "templates"
STATIC = _WEB / "static"
