"""Runs by a lab that is running, over its REST API (stdlib only); THREADLAB_TOKEN is sent along where it is set."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from app.errors import Busy, Invalid, LabError, NotNow, Unknown
from app.lab.comparison import GOING, ComparisonView
from app.lab.views import RunView
from app.settings import Settings

LOOK_S = 0.5
ANSWER_WITHIN_S = 30
_VIEW = TypeAdapter(RunView)
_COMPARISON = TypeAdapter(ComparisonView)
_ERRORS: dict[int, type[LabError]] = {kind.status: kind for kind in (Unknown, NotNow, Invalid, Busy)}


def one_run(server: str, spec: Mapping[str, Any]) -> RunView:
    """Submit a run and wait for its end. Raises LabError in the server's words, NotNow if there is none."""
    base = _url(server, "runs")
    view = _ask("POST", base, spec)
    while view["state"] in ("queued", "warming", "running"):
        time.sleep(LOOK_S)
        view = _ask("GET", f"{base}/{view['id']}")
    return _VIEW.validate_python(view)


def run(server: str, id: int) -> RunView:
    """A run of a lab's history."""
    return _VIEW.validate_python(_ask("GET", _url(server, f"runs/{id}")))


def comparison(server: str, spec: Mapping[str, Any], told: Callable[[ComparisonView], None]) -> ComparisonView:
    """Submit a comparison and wait for its end; `told` is called with it now and then. Raises as `one_run` does."""
    base = _url(server, "comparisons")
    view = _COMPARISON.validate_python(_ask("POST", base, spec))
    while view.state in GOING:
        time.sleep(LOOK_S)
        view = _COMPARISON.validate_python(_ask("GET", f"{base}/{view.id}"))
        told(view)
    return view


def export(server: str, id: int, part: str, noun: str = "run") -> str:
    """A run, or a comparison, as a file: `csv`, `junit`, `report` or `bundle`."""
    return _fetch("GET", _url(server, f"{noun}s/{id}/{part}")).decode()


def models(server: str) -> dict[str, str | None]:
    """The models of a lab: why each is unavailable, or None."""
    return {view["name"]: view["unavailable_reason"] for view in _ask("GET", _url(server, "models"))}


def _url(server: str, path: str) -> str:
    return f"{server.rstrip('/')}/api/v1/{path}"


def _ask(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    try:
        return json.loads(_fetch(method, url, body))
    except ValueError as error:
        raise _no_lab(url, error) from None


def _fetch(method: str, url: str, body: Mapping[str, Any] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if token := Settings().token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode("utf-8", "replace")
        detail = json.loads(said)["detail"] if said.startswith("{") else f"{url} answered {error.code}."
        raise _ERRORS.get(error.code, LabError)(detail) from None
    except (OSError, ValueError) as error:
        raise _no_lab(url, error) from None


def _no_lab(url: str, error: Exception) -> NotNow:
    return NotNow(f"No lab answers at {url}: {getattr(error, 'reason', error)}.")
