"""The door: tried on every route there is, so that a new one cannot be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .driver import LabProcess, bare_app, is_problem, plan

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes() -> list[tuple[str, str]]:
    """Every method and path of the application, pages included, with its parameters filled in."""
    found: set[tuple[str, str]] = set()

    def walk(some: Any) -> None:
        for route in some:
            if nested := getattr(getattr(route, "original_router", None), "routes", None):
                prefix = getattr(getattr(route, "include_context", None), "prefix", "")
                for each in nested:
                    found.update((method, prefix + each.path) for method in getattr(each, "methods", None) or ())
            elif methods := getattr(route, "methods", None):
                found.update((method, route.path) for method in methods)

    app = bare_app()
    walk(app.routes)
    for path, calls in app.openapi()["paths"].items():
        found.update((method.upper(), path) for method in calls)
    filled = {(method, re.sub(r"\{\w+\}", "1", path)) for method, path in found if method != "HEAD"}
    return sorted(filled | {("GET", "/static/css/app.css")})


ROUTES = routes()
CHANGING = [(method, path) for method, path in ROUTES if method not in ("GET", "HEAD", "OPTIONS")]
READING = [(method, path) for method, path in ROUTES if method == "GET"]


def ids(some: list[tuple[str, str]]) -> list[str]:
    return [f"{method} {path}" for method, path in some]


@pytest.fixture(scope="module")
def filled(shared_lab: LabProcess) -> Iterator[LabProcess]:
    """A lab with an engine and a run, so that nothing is 404 for want of it."""
    shared_lab.run(model="reactor", plan=plan(0.5, 0))
    shared_lab.start("reactor")
    processes = shared_lab.others()
    yield shared_lab
    assert shared_lab.others() <= processes, "some request has started a process"
    shared_lab.tidy()


def state(lab: LabProcess) -> Any:
    return [{**engine, "uptime_s": 0} for engine in lab.get("/engines")], lab.get("/runs")


def is_guarded(answer: httpx.Response) -> None:
    """Has the headers of every answer, and none of CORS."""
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers


def test_the_list_of_routes_is_not_empty() -> None:
    paths = {path for _, path in ROUTES}
    assert {"/", "/runs", "/engines", "/api/v1/engines", "/api/v1/runs/1/stop", "/healthz", "/models/1"} <= paths
    assert len(CHANGING) >= 9 and len(READING) >= 20


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=ids(ROUTES))
def test_a_foreign_host_is_refused_everywhere(filled: LabProcess, method: str, path: str) -> None:
    answer = filled.http.request(method, path, headers={"Host": "evil.example"})
    is_problem(answer, 421)
    is_guarded(answer)


@pytest.mark.parametrize("host", ["evil.example:8000", "127.0.0.1.evil.example", "[::2]", "[::1", "127.0.0.1@evil", ""])
def test_a_host_that_only_looks_right_is_refused(filled: LabProcess, host: str) -> None:
    for path in ("/", "/api/v1/engines", "/static/css/app.css"):
        assert filled.http.get(path, headers={"Host": host}).status_code in ((400, 421) if not host else (421,))


@pytest.mark.parametrize(("method", "path"), CHANGING, ids=ids(CHANGING))
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=["foreign", "null", "other port", "cross-site", "same-site", "null cross-site"],
)
def test_a_foreign_page_can_change_nothing(filled: LabProcess, method: str, path: str, headers: dict[str, str]) -> None:
    before = state(filled)
    answer = filled.http.request(method, path, headers=headers, data={"model": "reactor"})
    is_problem(answer, 403)
    is_guarded(answer)
    assert state(filled) == before


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=ids(ROUTES))
def test_no_preflight_is_answered(filled: LabProcess, method: str, path: str) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": method}
    answer = filled.http.options(path, headers=headers)
    is_guarded(answer)
    assert answer.status_code >= 400


@pytest.mark.parametrize(("method", "path"), READING, ids=ids(READING))
def test_reading_changes_nothing_and_is_guarded(filled: LabProcess, method: str, path: str) -> None:
    before = state(filled)
    answer = filled.http.request(method, path)
    is_guarded(answer)
    assert answer.status_code in (200, 404, 422)  # 422: a page of several runs, without saying of which
    assert state(filled) == before
    if answer.headers["content-type"].startswith("text/html"):
        assert not re.search(r"<script(?![^>]* src=)[^>]*>|\sstyle=|\son\w+=|javascript:", answer.text)
        downloaded = answer.headers.get("content-disposition", "").startswith("attachment")  # never shown as a page
        assert downloaded or "<style" not in answer.text


ERRORS = [
    ("GET", "/nowhere", 404), ("GET", "/runs/99999", 404), ("GET", "/runs/x", None), ("GET", "/api/v1/runs/x", None),
    ("GET", "/api/v1/nowhere", 404), ("PUT", "/api/v1/runs", 405), ("PUT", "/", 405), ("POST", "/api/v1/runs", 422),
    ("GET", "/static/nowhere.js", 404), ("GET", "/static/%2e%2e/pyproject.toml", 404),
    ("POST", "/engines", 404), ("POST", "/runs", 422),
    ("GET", "/api/v1/runs?limit=0", 422), ("GET", "/api/v1/runs?limit=x", 422), ("GET", "/models/%3Cscript%3E", 404),
    ("GET", "/?watch=%3Cscript%3E", 200),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ERRORS, ids=[f"{m} {p}" for m, p, _ in ERRORS])
def test_errors_are_guarded_too(filled: LabProcess, method: str, path: str, status: int | None) -> None:
    before = state(filled)
    answer = filled.http.request(method, path)
    assert answer.status_code == status if status else 400 <= answer.status_code < 500
    is_guarded(answer)
    assert "<script>" not in answer.text
    kind = answer.headers["content-type"]
    assert kind == ("application/problem+json" if path.startswith(("/api", "/static")) else "text/html; charset=utf-8")
    assert state(filled) == before


def test_what_a_person_typed_is_never_markup(filled: LabProcess) -> None:
    evil = "<img src=x onerror=alert(1)>"
    run = filled.submit(model="reactor", plan=plan(0.5, 0), label=evil)
    filled.ended(run["id"])
    for path in ("/", "/runs", f"/runs/{run['id']}", f"/runs/{run['id']}/delete"):
        assert "<img" not in filled.http.get(path).text
    answer = filled.http.post("/engines", data={"model": "reactor", "knob_idle_s": evil})
    assert answer.status_code == 422 and "<img" not in answer.text and "&lt;img" in answer.text
    filled.http.delete(f"/api/v1/runs/{run['id']}")


def test_a_form_of_its_own_page_is_welcome(filled: LabProcess) -> None:
    for headers in ({"Origin": filled.url, "Sec-Fetch-Site": "same-origin"}, {"Origin": filled.url}, {}):
        answer = filled.http.post("/engines/stop-all", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_browsers_plain_form_is_welcome_whatever_the_referrer_policy_does_to_origin(filled: LabProcess) -> None:
    """With `Referrer-Policy: no-referrer` a browser sends `Origin: null` with a plain form of the same site."""
    policy = filled.http.get("/").headers["referrer-policy"]
    origin = "null" if policy == "no-referrer" else filled.url
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
    assert filled.http.post("/engines/stop-all", headers=headers).status_code == 303


def test_a_form_of_too_many_fields_or_files_is_refused(filled: LabProcess) -> None:
    before = state(filled)
    many = filled.http.post("/runs", data={f"f{i}": "x" for i in range(500)})
    file = filled.http.post("/engines", data={"model": "reactor"}, files={"knob_idle_s": ("x", b"5")})
    assert 400 <= many.status_code < 500 and 400 <= file.status_code < 500
    is_guarded(many)
    assert state(filled) == before


def test_names_of_loopback_are_answered(filled: LabProcess) -> None:
    for host in (f"localhost:{filled.port}", "LOCALHOST", f"127.0.0.1:{filled.port}", "[::1]:5"):
        assert filled.http.get("/healthz", headers={"Host": host}).status_code == 200


def test_health_is_told(filled: LabProcess) -> None:
    assert filled.http.get("/healthz").json() == {"status": "ok"}
    assert filled.http.get("/readyz").status_code == 200
