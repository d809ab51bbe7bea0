"""The lab behind a reverse proxy: below a path, with a Host that lacks the port, and by HEAD; pages and API alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.web.tokens import new_token
from tests.app.driver import LabProcess, is_problem
from tests.app.inside import LabInside

ROOT = "/tools/lab"
LINKS = re.compile(r'(?:href|src|action|hx-get|hx-post|hx-delete)="([^"#?]+)')


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabInside]:
    """A lab that is shown under a path."""
    with closing(LabInside(tmp_path_factory.mktemp("below"), root_path=ROOT)) as lab:
        yield lab


@pytest.mark.parametrize("taken_off", [True, False])
def test_a_proxy_may_take_the_path_off_or_not(below: LabInside, taken_off: bool) -> None:
    root = "" if taken_off else ROOT
    assert (
        below.http.get(f"{root}/").status_code == below.http.get(f"{root}/api/v1/system").status_code == 200
    )
    assert below.http.get(f"{root}/api/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    "page", ["/", "/models", "/models/reactor", "/runs", "/comparisons", "/api/docs", "/about"]
)
def test_every_address_on_a_page_is_below_the_path(below: LabInside, page: str) -> None:
    text = below.http.get(ROOT + page).text
    ours = [link for link in LINKS.findall(text) if not link.startswith(("http", "data:"))]
    assert len(ours) > 10 and [link for link in ours if not link.startswith(f"{ROOT}/")] == []
    missing = [
        link
        for link in set(LINKS.findall(text))
        if "/static/" in link and not below.http.get(link).is_success
    ]
    assert missing == []


def test_a_redirect_stays_below_the_path(below: LabInside) -> None:
    answer = below.http.post(f"{ROOT}/engines", data={"model": "reactor"})
    assert answer.status_code == 303 and answer.headers["location"].startswith(f"{ROOT}/")
    for engine in below.get("/engines"):
        below.http.delete(f"/api/v1/engines/{engine['id']}")


def test_the_scripts_know_the_path(below: LabInside) -> None:
    assert f'data-root="{ROOT}"' in below.http.get(f"{ROOT}/").text


FROM_PAGE = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}


def test_a_host_without_its_port_is_ours_if_the_browser_says_so(lab: LabProcess) -> None:
    answer = lab.http.post("/api/v1/engines", json={}, headers={"Host": "localhost", **FROM_PAGE})
    assert answer.status_code == 422, "it came in, and has no model"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost", "Origin": "http://localhost:8080"},  # no browser says same-origin
        {"Host": "localhost", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"},
        {"Host": "localhost:9", **FROM_PAGE},  # another port is another origin
        {"Host": "127.0.0.1", **FROM_PAGE},
    ],
)
def test_any_other_page_is_foreign_and_told_what_a_proxy_must_pass_on(
    lab: LabProcess, headers: dict[str, str]
) -> None:
    said = is_problem(lab.http.post("/api/v1/engines", json={}, headers=headers), 403)
    same_name = headers["Host"].startswith("localhost")
    assert ("must pass Host on" in said) == same_name


def test_who_cannot_open_the_socket_is_told_why(lab: LabProcess) -> None:
    """A browser does not show why a WebSocket was refused: its page asks by POST."""
    assert lab.http.post("/ws/v1/live").is_success
    headers = {"Host": "localhost:9", **FROM_PAGE}
    assert "must pass Host on" in is_problem(lab.http.post("/ws/v1/live", headers=headers), 403)


TOKEN = new_token()
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabInside]:
    """A lab that wants a token."""
    with closing(LabInside(tmp_path_factory.mktemp("locked"), token=TOKEN)) as lab:
        yield lab


def test_after_the_login_comes_the_page_that_was_asked_for(locked: LabInside) -> None:
    sent = locked.http.get("/runs?model=reactor", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fruns%3Fmodel%3Dreactor")
    form = locked.http.get(sent.headers["location"], headers=HTML).text
    assert 'name="next" value="/runs?model=reactor"' in form and 'data-live="off"' in form
    entered = locked.http.post("/login", data={"token": TOKEN, "next": "/runs?model=reactor"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?model=reactor")
    locked.http.cookies.clear()


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "", "/a\r\nB: c"],
)
def test_after_the_login_nobody_is_sent_elsewhere(locked: LabInside, elsewhere: str) -> None:
    entered = locked.http.post("/login", data={"token": TOKEN, "next": elsewhere})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    locked.http.cookies.clear()


def test_a_wrong_token_keeps_where_one_was_going(locked: LabInside) -> None:
    again = locked.http.post("/login", data={"token": "wrong", "next": "/runs"})
    assert again.status_code == 401 and 'name="next" value="/runs"' in again.text
