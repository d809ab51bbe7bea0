"""The only place that knows where templates and static files are: beside `app` in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_APP = Path(__file__).resolve().parent
_WEB = _APP / "_web" if (_APP / "_web").is_dir() else _APP.parent

TEMPLATES = _WEB / "templates"
STATIC = _WEB / "static"
