"""The security middleware, tested on every route, so that a new route is covered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.app.driver import LabProcess, app_without_lab, assert_problem, endless, light

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes() -> list[tuple[str, str]]:
    """Return every method and path of the application, pages included, with its parameters filled in."""
    found: set[tuple[str, str]] = set()

    def walk(some: Any) -> None:
        for route in some:
            if nested := getattr(getattr(route, "original_router", None), "routes", None):
                prefix = getattr(getattr(route, "include_context", None), "prefix", "")
                for each in nested:
                    found.update(
                        (method, prefix + each.path) for method in getattr(each, "methods", None) or ()
                    )
            elif methods := getattr(route, "methods", None):
                found.update((method, route.path) for method in methods)

    app = app_without_lab()
    walk(app.routes)
    for path, calls in app.openapi()["paths"].items():
        found.update((method.upper(), path) for method in calls)
    filled = {(method, re.sub(r"\{\w+(:\w+)?\}", "1", path)) for method, path in found if method != "HEAD"}
    return sorted(filled | {("GET", "/static/css/app.css")})


ROUTES = routes()
CHANGING = [(method, path) for method, path in ROUTES if method not in ("GET", "HEAD", "OPTIONS")]
READING = [(method, path) for method, path in ROUTES if method == "GET"]


@dataclass(frozen=True)
class Filled:
    """A lab with an engine and a run, so that their routes are not 404."""

    lab: LabProcess
    engine: str
    run: int

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call one of ROUTES, on this engine and run."""
        path = re.sub(
            r"/engines/1\b", f"/engines/{self.engine}", re.sub(r"/runs/1\b", f"/runs/{self.run}", path)
        )
        return self.lab.http.request(method, path, **more)


@pytest.fixture(scope="module")
def run(shared_lab: LabProcess) -> int:
    return int(shared_lab.run(model="reactor", plan=light())["id"])


@pytest.fixture
def filled(lab: LabProcess, run: int) -> Filled:
    return Filled(lab, lab.start("reactor")["id"], run)


@contextmanager
def nothing_changes(lab: LabProcess) -> Iterator[None]:
    """Assert that engines, runs and processes do not change in a `with` block."""

    def state() -> Any:
        return (
            [{**engine, "uptime_s": 0} for engine in lab.get("/engines")],
            lab.get("/runs"),
            lab.child_pids(),
        )

    before = state()
    yield
    assert state() == before


def wrong_headers(answer: httpx.Response) -> list[str]:
    """Return the security headers that are missing or wrong, and `access-control` for CORS headers."""
    headers = answer.headers
    right = {
        "content-security-policy": headers.get("content-security-policy") == CSP,
        "x-content-type-options": headers.get("x-content-type-options") == "nosniff",
        "x-frame-options": headers.get("x-frame-options") == "DENY",
        "cross-origin-opener-policy": headers.get("cross-origin-opener-policy") == "same-origin",
        "cross-origin-resource-policy": headers.get("cross-origin-resource-policy") == "same-origin",
        "referrer-policy": headers.get("referrer-policy") in ("no-referrer", "same-origin"),
        "access-control": not [name for name in headers if name.startswith("access-control-")],
        "server": "server" not in headers,
    }
    return [name for name, is_right in right.items() if not is_right]


def assert_security_headers(answer: httpx.Response) -> None:
    assert wrong_headers(answer) == [], answer.headers


class InlineFinder(HTMLParser):
    """Finds inline scripts and styles, which the content security policy forbids."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.add(f"<{tag}>")
        self.found |= {f"<{tag} {name}>" for name in names if name == "style" or name.startswith("on")}
        self.found |= {
            f"<{tag} {name}>" for name, value in attrs if (value or "").strip().startswith("javascript:")
        }


def test_inline_scripts_and_styles_are_found() -> None:
    page = '<p style="x" onclick=y>on&lt;img onerror=z> style=</p>'
    page += '<script>1</script><style></style><a href="javascript:1">'
    assert InlineFinder(page).found == {"<p style>", "<p onclick>", "<script>", "<style>", "<a href>"}


def test_the_list_of_routes_is_not_empty() -> None:
    paths = {path for _, path in ROUTES}
    assert {
        "/",
        "/runs",
        "/engines",
        "/api/v1/engines",
        "/api/v1/runs/1/stop",
        "/healthz",
        "/models/1",
    } <= paths
    assert len(CHANGING) >= 9 and len(READING) >= 20


def test_another_host_is_refused_on_every_route(filled: Filled) -> None:
    for method, path in ROUTES:
        answer = filled.request(method, path, headers={"Host": "evil.example"})
        assert answer.status_code == 421, f"{method} {path}"
        assert_problem(answer, 421)
        assert_security_headers(answer)


LOOKALIKES = [
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "[::2]",
    "[::1",
    "127.0.0.1@evil",
    "",
    "127.0.0.1:",
    "127.0.0.1:8a",
    "127.0.0.1:80:80",
    "127.0.0.1:-1",
    "127.0.0.1:@evil.example",
    "[::1]x:80",
    "localhost.",
    "localhost:\xb2",
]


@pytest.mark.parametrize("host", LOOKALIKES)
def test_a_similar_host_is_refused(lab: LabProcess, host: str) -> None:
    for path in ("/", "/api/v1/engines", "/static/css/app.css"):
        answer = lab.http.get(path, headers=[(b"Host", host.encode("latin-1"))])
        assert answer.status_code in ((400, 421) if not host else (421,))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Origin": "127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=[
        "another site",
        "null",
        "other port",
        "no host",
        "no scheme",
        "cross-site",
        "same-site",
        "null cross-site",
    ],
)
def test_a_page_of_another_site_cannot_change_anything(filled: Filled, headers: dict[str, str]) -> None:
    with nothing_changes(filled.lab):
        for method, path in CHANGING:
            answer = filled.request(method, path, headers=headers, data={"model": "reactor"})
            assert answer.status_code == 403, f"{method} {path}"
            assert_problem(answer, 403)
            assert_security_headers(answer)


def test_preflight_requests_fail(filled: Filled) -> None:
    for method, path in ROUTES:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": method}
        answer = filled.request("OPTIONS", path, headers=headers)
        assert_security_headers(answer)
        assert answer.status_code >= 400, f"{method} {path}"


def test_get_requests_change_nothing_and_have_security_headers(filled: Filled) -> None:
    with nothing_changes(filled.lab):
        for _, path in READING:
            answer = filled.request("GET", path)
            # 422: a page of several runs, whose ids are missing
            assert_security_headers(answer)
            if answer.headers["content-type"].startswith("text/html"):
                downloaded = answer.headers.get("content-disposition", "").startswith("attachment")
                inline = InlineFinder(answer.text).found - ({"<style>"} if downloaded else set())
                assert inline == set(), path  # a download is never shown as a page


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"]
)
def test_a_body_over_64_kib_without_a_length_is_refused_on_every_route(filled: Filled, kind: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="label"\r\n\r\n' if "multipart" in kind else b"label="
    )
    with nothing_changes(filled.lab):
        for method, path in CHANGING:
            chunks = iter([body, b"x" * 40_000, b"x" * 40_000])
            answer = filled.request(method, path, content=chunks, headers={"Content-Type": kind})
            assert "64 KiB" in assert_problem(answer, 413), f"{method} {path}"
            assert_security_headers(answer)


ERRORS = [
    ("GET", "/nowhere", 404),
    ("GET", "/runs/99999", 404),
    ("GET", "/runs/x", None),
    ("GET", "/api/v1/runs/x", None),
    ("GET", "/api/v1/nowhere", 404),
    ("PUT", "/api/v1/runs", 405),
    ("PUT", "/", 405),
    ("POST", "/api/v1/runs", 422),
    ("GET", "/static/nowhere.js", 404),
    ("GET", "/static/%2e%2e/pyproject.toml", 404),
    ("POST", "/engines", 404),
    ("POST", "/runs", 422),
    ("GET", "/api/v1/runs?limit=0", 422),
    ("GET", "/api/v1/runs?limit=x", 422),
    ("GET", "/models/%3Cscript%3E", 404),
    ("GET", "/workbench?target=%3Cscript%3E", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), ERRORS, ids=[f"{m} {p}" for m, p, _ in ERRORS])
def test_errors_have_security_headers(lab: LabProcess, method: str, path: str, status: int | None) -> None:
    answer = lab.http.request(method, path)
    assert answer.status_code == status if status else 400 <= answer.status_code < 500
    assert_security_headers(answer)
    assert "<script>" not in answer.text
    kind = answer.headers["content-type"]
    assert kind == (
        "application/problem+json" if path.startswith(("/api", "/static")) else "text/html; charset=utf-8"
    )


def test_errors_change_nothing(filled: Filled) -> None:
    with nothing_changes(filled.lab):
        for method, path, _ in ERRORS:
            filled.lab.http.request(method, path)


def test_user_input_is_escaped_on_pages(lab: LabProcess) -> None:
    evil = "<img src=x onerror=alert(1)>"
    id = lab.submit(model="reactor", plan=endless(), label=evil)["id"]
    lab.stop(id)
    for path in ("/workbench", "/runs", f"/runs/{id}", f"/runs/{id}/delete"):
        text = lab.http.get(path).text
        assert "<img" not in text, path
        assert "&lt;img" in text or path.endswith("/delete"), path  # where the label is not shown
    answer = lab.http.post("/engines", data={"model": "reactor", "knob_idle_s": evil})
    assert answer.status_code == 422 and "<img" not in answer.text and "&lt;img" in answer.text
    lab.http.delete(f"/api/v1/runs/{id}")


def test_a_form_of_the_same_origin_is_accepted(lab: LabProcess) -> None:
    for headers in ({"Origin": lab.url, "Sec-Fetch-Site": "same-origin"}, {"Origin": lab.url}, {}):
        answer = lab.http.post("/engines/stop-all", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/workbench")


def test_a_plain_form_is_accepted_with_the_origin_that_the_referrer_policy_causes(
    lab: LabProcess,
) -> None:
    """With `Referrer-Policy: no-referrer` a browser sends `Origin: null` with a form of the same site."""
    policy = lab.http.get("/").headers["referrer-policy"]
    origin = "null" if policy == "no-referrer" else lab.url
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
    assert lab.http.post("/engines/stop-all", headers=headers).status_code == 303


def test_a_form_with_too_many_fields_or_files_is_refused(lab: LabProcess) -> None:
    with nothing_changes(lab):
        many = lab.http.post("/runs", data={f"f{i}": "x" for i in range(500)})
        file = lab.http.post("/engines", data={"model": "reactor"}, files={"knob_idle_s": ("x", b"5")})
        assert 400 <= many.status_code < 500 and 400 <= file.status_code < 500
        assert_security_headers(many)


def test_names_of_loopback_are_allowed(lab: LabProcess) -> None:
    for host in (f"localhost:{lab.port}", "LOCALHOST", f"127.0.0.1:{lab.port}", "[::1]:5"):
        assert lab.http.get("/healthz", headers={"Host": host}).status_code == 200


def test_health_checks_succeed(lab: LabProcess) -> None:
    assert lab.http.get("/healthz").json() == {"status": "ok"}
    assert lab.http.get("/readyz").status_code == 200


def test_head_is_get_without_a_body(filled: Filled) -> None:
    for method, path in READING:
        got, head = filled.request(method, path), filled.request("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.get("content-type") == got.headers.get("content-type"), path


def test_an_unknown_query_parameter_is_refused_on_every_api_call(filled: Filled) -> None:
    calls = [
        (method, path) for method, path in ROUTES if path.startswith("/api/v1/") and "openapi" not in path
    ]
    assert len(calls) > 30
    with nothing_changes(filled.lab):
        for method, path in calls:
            detail = assert_problem(filled.request(method, path, params={"limt": "5"}), 422, "/limt")
            assert "limt is not a parameter" in detail, (method, path)
