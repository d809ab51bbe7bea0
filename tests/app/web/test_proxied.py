"""The lab behind a reverse proxy: below a path, with a Host header without port, and the login page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.web.authentication import new_token
from tests.app.driver import LabProcess, assert_problem
from tests.app.in_process_lab import InProcessLab

ROOT = "/tools/lab"
LINKS = re.compile(r'(?:href|src|action|hx-get|hx-post|hx-delete)="([^"#?]+)')


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    """A lab that is published under a path."""
    with closing(InProcessLab(tmp_path_factory.mktemp("below"), root_path=ROOT)) as lab:
        yield lab


@pytest.mark.parametrize("removed", [True, False])
def test_a_proxy_may_remove_the_path_or_not(below: InProcessLab, removed: bool) -> None:
    root = "" if removed else ROOT
    assert (
        below.http.get(f"{root}/").status_code == below.http.get(f"{root}/api/v1/system").status_code == 200
    )
    assert below.http.get(f"{root}/api/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    "page",
    [
        "/",
        "/workbench",
        "/experiments",
        "/models",
        "/models/reactor",
        "/runs",
        "/comparisons",
        "/api/docs",
        "/about",
    ],
)
def test_every_url_on_a_page_is_below_the_path(below: InProcessLab, page: str) -> None:
    text = below.http.get(ROOT + page).text
    local = [link for link in LINKS.findall(text) if not link.startswith(("http", "data:"))]
    assert len(local) > 10 and [link for link in local if not link.startswith(f"{ROOT}/")] == []
    missing = [
        link
        for link in set(LINKS.findall(text))
        if "/static/" in link and not below.http.get(link).is_success
    ]
    assert missing == []


def test_a_redirect_stays_below_the_path(below: InProcessLab) -> None:
    answer = below.http.post(f"{ROOT}/engines", data={"model": "reactor"})
    assert answer.status_code == 303 and answer.headers["location"].startswith(f"{ROOT}/")
    for engine in below.get("/engines"):
        below.http.delete(f"/api/v1/engines/{engine['id']}")


def test_pages_pass_the_path_to_scripts(below: InProcessLab) -> None:
    assert f'data-root="{ROOT}"' in below.http.get(f"{ROOT}/").text


FROM_PAGE = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}


def test_a_host_without_port_is_accepted_if_the_browser_confirms_the_origin(lab: LabProcess) -> None:
    answer = lab.http.post("/api/v1/engines", json={}, headers={"Host": "localhost", **FROM_PAGE})
    assert answer.status_code == 422, "it is accepted, and has no model"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost", "Origin": "http://localhost:8080"},  # no browser says same-origin
        {"Host": "localhost", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"},
        {"Host": "localhost:9", **FROM_PAGE},  # another port is another origin
        {"Host": "127.0.0.1", **FROM_PAGE},
    ],
)
def test_other_pages_are_cross_site_and_the_error_names_the_host_header(
    lab: LabProcess, headers: dict[str, str]
) -> None:
    detail = assert_problem(lab.http.post("/api/v1/engines", json={}, headers=headers), 403)
    same_name = headers["Host"].startswith("localhost")
    assert ("must pass the Host header" in detail) == same_name


def test_a_page_can_query_why_its_websocket_was_refused(lab: LabProcess) -> None:
    """A browser does not show the reason, so the page sends a POST."""
    assert lab.http.post("/ws/v1/live").is_success
    headers = {"Host": "localhost:9", **FROM_PAGE}
    assert "must pass the Host header" in assert_problem(lab.http.post("/ws/v1/live", headers=headers), 403)


TOKEN = new_token()
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    """A lab that requires a token."""
    with closing(InProcessLab(tmp_path_factory.mktemp("locked"), token=TOKEN)) as lab:
        yield lab


def test_the_login_redirects_to_the_requested_page(locked: InProcessLab) -> None:
    sent = locked.http.get("/runs?model=reactor", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fruns%3Fmodel%3Dreactor")
    form = locked.http.get(sent.headers["location"], headers=HTML).text
    assert 'name="next" value="/runs?model=reactor"' in form and 'data-live="off"' in form
    entered = locked.http.post("/login", data={"token": TOKEN, "next": "/runs?model=reactor"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?model=reactor")
    locked.http.cookies.clear()


@pytest.mark.parametrize(
    "url",
    ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "", "/a\r\nB: c"],
)
def test_the_login_does_not_redirect_to_other_sites(locked: InProcessLab, url: str) -> None:
    entered = locked.http.post("/login", data={"token": TOKEN, "next": url})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    locked.http.cookies.clear()


def test_a_wrong_token_keeps_the_requested_page(locked: InProcessLab) -> None:
    again = locked.http.post("/login", data={"token": "wrong", "next": "/runs"})
    assert again.status_code == 401 and 'name="next" value="/runs"' in again.text
