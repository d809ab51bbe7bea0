"""An exposed lab requires its token on every route, by HTTP and by WebSocket (docs/security.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import Request, Response
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.web import authentication
from app.web.authentication import COOKIE, Authenticator, cookie_value, new_token
from tests.app.driver import LabProcess, assert_problem
from tests.app.in_process_lab import InProcessLab
from tests.app.web.test_security import ROUTES
from tests.waiting import BOUND_S

TOKEN = new_token()
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/static/css/app.css"),
}
PROTECTED = [route for route in ROUTES if route not in PUBLIC]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab that requires its token, as if other hosts could reach it."""
    lab = LabProcess(tmp_path_factory.mktemp("exposed"), "--token", TOKEN)
    yield lab
    lab.close()


@pytest.fixture
def http(exposed: LabProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=exposed.url, timeout=BOUND_S) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def link(lab: LabProcess) -> str:
    """Return the one-time link that the lab has printed."""
    assert lab.process.stdout
    found = re.search(r"/\?token=\S+", lab.process.stdout.readline())
    assert found
    return found[0]


def test_every_protected_route_requires_the_token(http: httpx.Client) -> None:
    stale = {"Cookie": f"{authentication.COOKIE}={'a' * 43}"}  # a session from before a restart
    for method, path in PROTECTED:
        for headers in ({}, stale):
            answer = http.request(method, path, headers=headers)
            assert answer.status_code == 401, f"{method} {path} {headers}"
            assert_problem(answer, 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/static/css/app.css"])
def test_public_paths_need_no_token(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


def test_a_page_redirects_to_the_login(http: httpx.Client) -> None:
    answer = http.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_the_token_is_accepted(http: httpx.Client) -> None:
    assert http.get("/api/v1/engines", headers=bearer(TOKEN)).json() == []
    assert b"threadlab_engines" in http.get("/metrics", headers=bearer(TOKEN)).content


@pytest.mark.parametrize(
    "header",
    [f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", "Bearer ü"],
    ids=["basic", "bare", "none", "another", "shorter", "longer", "not ascii"],
)
def test_other_authorization_headers_are_refused(http: httpx.Client, header: str) -> None:
    assert_problem(http.get("/api/v1/engines", headers=[(b"Authorization", header.encode())]), 401)


def test_a_token_in_the_query_of_a_changing_request_is_refused(http: httpx.Client) -> None:
    assert_problem(http.post(f"/api/v1/engines?token={TOKEN}", json={"model": "reactor"}), 401)


def test_an_invented_cookie_is_refused(http: httpx.Client) -> None:
    for value in ("", "x", TOKEN, "a" * 43):
        assert_problem(
            http.get("/api/v1/engines", headers={"Cookie": f"{authentication.COOKIE}={value}"}), 401
        )


def test_the_link_works_once_and_is_removed_from_the_url(exposed: LabProcess, http: httpx.Client) -> None:
    once = link(exposed)
    first = http.get(once)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    assert http.get("/api/v1/engines").status_code == 200  # the client has kept the cookie
    with httpx.Client(base_url=exposed.url) as other_client:
        again = other_client.get(once)
        assert again.headers["location"] == "/login?used=1" and "set-cookie" not in again.headers
        assert_problem(other_client.get("/api/v1/engines"), 401)


def test_the_token_on_the_login_page_starts_a_session(exposed: LabProcess, http: httpx.Client) -> None:
    wrong = http.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401 and "Invalid token" in wrong.text and "set-cookie" not in wrong.headers
    assert http.post("/login", data={"token": TOKEN}).status_code == 303
    assert http.get("/", headers={"Accept": "text/html"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/workbench", "/experiments", "/runs", "/about", "/login", "/nowhere"])
def test_no_page_contains_the_token_or_the_session(http: httpx.Client, path: str) -> None:
    """Pages are compressed, so their length could reveal a secret beside text of the request."""
    session = http.post("/login", data={"token": TOKEN}).cookies[COOKIE]
    text = http.get(path, params={"text": "x"} if path == "/runs" else None).text
    assert "Thread Model Lab" in text
    assert TOKEN not in text and session not in text


def test_a_session_does_not_permit_another_origin(http: httpx.Client) -> None:
    http.post("/login", data={"token": TOKEN})
    assert_problem(
        http.post("/api/v1/engines", json={"model": "reactor"}, headers={"Origin": "http://evil.example"}),
        403,
    )
    assert_problem(http.get("/api/v1/engines", headers={"Host": "evil.example"}), 421)


def test_a_websocket_requires_the_token(exposed: LabProcess, http: httpx.Client) -> None:
    url = exposed.url.replace("http", "ws") + "/ws/v1/live"
    for headers in ({}, bearer("wrong" * 10), {"Cookie": f"{authentication.COOKIE}=x"}):
        with (
            pytest.raises((InvalidStatus, ConnectionClosed)),
            connect(url, additional_headers=headers) as socket,
        ):
            socket.recv(BOUND_S)
    with connect(url, additional_headers=bearer(TOKEN)) as socket:
        assert '"hello"' in str(socket.recv(BOUND_S))
    session = http.post("/login", data={"token": TOKEN}).headers["set-cookie"].partition(";")[0]
    with connect(url, additional_headers={"Cookie": session}) as socket:
        assert '"hello"' in str(socket.recv(BOUND_S))


def test_each_changing_request_is_logged_in_one_line_that_cannot_be_forged(
    exposed: LabProcess, http: httpx.Client
) -> None:
    http.post("/api/v1/runs/1%0a2026-01-01%20threadlab.audit%20nobody/stop", headers=bearer(TOKEN))
    lines = [line for line in exposed.errors().splitlines() if "nobody" in line]
    assert len(lines) == 1 and "threadlab.audit 127.0.0.1 POST '/api/v1/runs/1\\n2026" in lines[0]
    assert TOKEN not in exposed.errors()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[InProcessLab]:
    """A lab in this process that requires its token, so that a test can create codes and set its clock."""
    with closing(InProcessLab(tmp_path, token=TOKEN)) as lab:
        yield lab


def guess(lab: InProcessLab, number: int = authentication.FAILURES_MAX, **headers: str) -> list[int]:
    """Send wrong tokens and return the status of each response."""
    wrong = {"Authorization": f"Bearer {'x' * 40}", **headers}
    return [lab.http.get("/api/v1/engines", headers=wrong).status_code for _ in range(number)]


def test_a_code_is_redeemed_on_the_start_page_only(guarded: InProcessLab) -> None:
    code = guarded.app.state.authenticator.new_login_code()
    for path in ("/runs", "/login", "/healthz", "/api/v1/engines", "/static/css/app.css"):
        answer = guarded.http.get(path, params={"token": code})
        assert "set-cookie" not in answer.headers and "used=1" not in answer.headers.get("location", ""), path
    assert "set-cookie" in guarded.http.get("/", params={"token": code}).headers


def test_a_valid_code_is_accepted_despite_failures(
    guarded: InProcessLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch)
    code = guarded.app.state.authenticator.new_login_code()
    assert guess(guarded, 11)[-1] == 429
    assert guarded.http.get("/", params={"token": "x"}).status_code == 429
    assert "set-cookie" in guarded.http.get("/", params={"token": code}).headers


@pytest.mark.parametrize(
    ("site", "counts"), [("cross-site", False), ("same-site", False), ("none", True), ("", True)]
)
def test_wrong_codes_sent_by_another_site_are_not_counted(
    guarded: InProcessLab, monkeypatch: pytest.MonkeyPatch, site: str, counts: bool
) -> None:
    clock(monkeypatch)
    headers = {"Sec-Fetch-Site": site} if site else {}
    for _ in range(authentication.FAILURES_MAX + 1):
        guarded.http.get("/", params={"token": "x"}, headers=headers)
    assert guess(guarded, 1) == [429 if counts else 401]


def test_a_used_link_redirects_a_session_to_the_start_page(guarded: InProcessLab) -> None:
    guarded.http.post("/login", data={"token": TOKEN})
    assert guarded.http.get("/", params={"token": "used"}).headers["location"] == "/"


def test_headers_cannot_change_the_address_of_a_client(
    guarded: InProcessLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch)
    for number in range(authentication.FAILURES_MAX):
        assert guess(
            guarded, 1, **{"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": "for=192.0.2.1"}
        ) == [401]
    assert guess(guarded, 1, **{"X-Forwarded-For": "192.0.2.99"}) == [429]


def test_clients_of_a_trusted_proxy_are_counted_separately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch)
    with closing(InProcessLab(tmp_path, token=TOKEN, trusted_proxies="10.0.0.0/8, 127.0.0.1")) as lab:
        assert guess(lab, 11, **{"X-Forwarded-For": "192.0.2.1"})[-1] == 429
        two_proxies, forged = "192.0.2.1, 10.1.2.3", "192.0.2.1, 192.0.2.2"
        assert guess(lab, 1, **{"X-Forwarded-For": two_proxies}) == [429]
        assert guess(lab, 1, **{"X-Forwarded-For": forged}) == [401]


def test_an_invalid_address_is_quoted_in_the_audit_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "threadlab.audit")
    with closing(InProcessLab(tmp_path, trusted_proxies="127.0.0.1")) as lab:
        for address in ("192.0.2.1", "2001:db8::1", "x POST '/api/v1/runs' 200", "a" * 1000):
            lab.http.post("/api/v1/runs/1/stop", headers={"X-Forwarded-For": address})
    lines = [each.getMessage() for each in caplog.records if each.name == "threadlab.audit"]
    assert [line.split(" POST ")[0] for line in lines[:2]] == ["192.0.2.1", "2001:db8::1"]
    assert lines[2].startswith("\"x POST '/api/v1/runs' 200\" POST ") and len(lines[3]) < 200


def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the clock of the authenticator in seconds, which only the test changes."""
    now_s = [1000.0]
    monkeypatch.setattr(authentication, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def test_wrong_tokens_are_rate_limited_and_the_right_one_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = clock(monkeypatch)
    with closing(InProcessLab(tmp_path, token=TOKEN)) as lab:
        http = lab.http
        seen = [http.get("/api/v1/engines", headers=bearer(f"guess{i:030}")).status_code for i in range(12)]
        assert seen == [401] * authentication.FAILURES_MAX + [429] * 2
        waiting = http.get("/api/v1/engines", headers=bearer("x" * 40))
        assert int(waiting.headers["retry-after"]) == authentication.WINDOW_S + 1
        assert http.post("/login", data={"token": "x"}).status_code == 429
        for method, path in PROTECTED:
            assert http.request(method, path, headers=bearer("f" * 64)).status_code == 429, f"{method} {path}"
        assert_problem(http.get("/api/v1/engines"), 401)
        assert http.get("/api/v1/engines", headers=bearer(TOKEN)).status_code == 200
        now_s[0] += authentication.WINDOW_S + 1
        assert_problem(http.get("/api/v1/engines", headers=bearer("x" * 40)), 401)


def test_sessions_and_codes_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator, now_s = Authenticator(TOKEN), clock(monkeypatch)
    session, code = authenticator.new_session(), authenticator.new_login_code()
    cookie = f"other=1; {authentication.COOKIE}={session}"
    assert authenticator.is_authenticated("", cookie)
    now_s[0] += authentication.LINK_S + 1
    assert not authenticator.redeem_code(code), "the link has expired"
    now_s[0] += authentication.SESSION_S
    assert not authenticator.is_authenticated("", cookie), "the session has expired"


def test_a_new_token_is_hard_to_guess() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100 and all(re.fullmatch(r"[0-9a-f]{64}", token) for token in tokens)


def test_the_session_cookie_is_found_among_other_cookies() -> None:
    for header in (f"{COOKIE}=x", f"a=1; {COOKIE}=x; b=2", f'a="\\";{COOKIE}=x', f"{COOKIE} = x "):
        assert cookie_value(header, COOKIE) == "x", header
    for header in ("", f"a{COOKIE}=x", COOKIE, f'a="{COOKIE}"=x', ";" * 100):
        assert cookie_value(header, COOKIE) == "", header


def test_no_route_receives_a_cookie_header(tmp_path: Path) -> None:
    """Starlette would parse it with http.cookies, in quadratic time."""
    seen: list[list[str]] = []

    async def see(request: Request) -> Response:
        seen.append(list(request.headers))
        return Response()

    with closing(InProcessLab(tmp_path, token=TOKEN)) as lab:
        lab.app.add_api_route("/seen", see, include_in_schema=False)
        session = lab.app.state.authenticator.new_session()
        lab.http.get("/seen", headers={"Cookie": f"{COOKIE}={session}"})
    assert len(seen) == 1 and "cookie" not in seen[0] and "host" in seen[0]
