"""An exposed lab: who has no token sees nothing, on every route there is, by HTTP and by WebSocket.

Each test names the promise of docs/security.md that it holds.
"""

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

from app.web import tokens
from app.web.tokens import COOKIE, Tokens, cookie_value, new_token
from tests.app.driver import LabProcess, is_problem
from tests.app.inside import LabInside
from tests.app.web.test_security import ROUTES
from tests.waiting import BOUND_S

TOKEN = new_token()
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/static/css/app.css"),
}
GUARDED = [route for route in ROUTES if route not in OPEN]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """A lab that wants its token, as if it were reachable from elsewhere."""
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
    """The one-time link that the lab has printed."""
    assert lab.process.stdout
    found = re.search(r"/\?token=\S+", lab.process.stdout.readline())
    assert found
    return found[0]


def test_without_the_token_no_route_answers(http: httpx.Client) -> None:
    stale = {
        "Cookie": f"{tokens.COOKIE}={'a' * 43}"
    }  # as after a restart: a session that is not known any more
    for method, path in GUARDED:
        for headers in ({}, stale):
            answer = http.request(method, path, headers=headers)
            assert answer.status_code == 401, f"{method} {path} {headers}"
            is_problem(answer, 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/static/css/app.css"])
def test_what_tells_nothing_is_open(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


def test_a_page_leads_to_the_login(http: httpx.Client) -> None:
    answer = http.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_the_token_opens_it(http: httpx.Client) -> None:
    assert http.get("/api/v1/engines", headers=bearer(TOKEN)).json() == []
    assert b"threadlab_engines" in http.get("/metrics", headers=bearer(TOKEN)).content


@pytest.mark.parametrize(
    "header",
    [f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", "Bearer ü"],
    ids=["basic", "bare", "none", "another", "cut", "longer", "no ascii"],
)
def test_nothing_but_the_token_opens_it(http: httpx.Client, header: str) -> None:
    is_problem(http.get("/api/v1/engines", headers=[(b"Authorization", header.encode())]), 401)


def test_a_token_in_the_query_of_a_change_opens_nothing(http: httpx.Client) -> None:
    is_problem(http.post(f"/api/v1/engines?token={TOKEN}", json={"model": "reactor"}), 401)


def test_a_cookie_of_our_own_making_opens_nothing(http: httpx.Client) -> None:
    for value in ("", "x", TOKEN, "a" * 43):
        is_problem(http.get("/api/v1/engines", headers={"Cookie": f"{tokens.COOKIE}={value}"}), 401)


def test_the_link_works_once_and_leaves_the_url(exposed: LabProcess, http: httpx.Client) -> None:
    once = link(exposed)
    first = http.get(once)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    assert http.get("/api/v1/engines").status_code == 200  # the client has kept the cookie
    with httpx.Client(base_url=exposed.url) as somebody_else:
        again = somebody_else.get(once)
        assert again.headers["location"] == "/login?used=1" and "set-cookie" not in again.headers
        is_problem(somebody_else.get("/api/v1/engines"), 401)


def test_the_pasted_token_gives_a_session(exposed: LabProcess, http: httpx.Client) -> None:
    wrong = http.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401 and "not this lab" in wrong.text and "set-cookie" not in wrong.headers
    assert http.post("/login", data={"token": TOKEN}).status_code == 303
    assert http.get("/", headers={"Accept": "text/html"}).status_code == 200


def test_a_session_does_not_excuse_another_origin(http: httpx.Client) -> None:
    http.post("/login", data={"token": TOKEN})
    is_problem(
        http.post("/api/v1/engines", json={"model": "reactor"}, headers={"Origin": "http://evil.example"}),
        403,
    )
    is_problem(http.get("/api/v1/engines", headers={"Host": "evil.example"}), 421)


def test_a_websocket_wants_the_token_too(exposed: LabProcess, http: httpx.Client) -> None:
    url = exposed.url.replace("http", "ws") + "/ws/v1/live"
    for headers in ({}, bearer("wrong" * 10), {"Cookie": f"{tokens.COOKIE}=x"}):
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


def test_each_change_leaves_one_line_that_cannot_be_forged(exposed: LabProcess, http: httpx.Client) -> None:
    http.post("/api/v1/runs/1%0a2026-01-01%20threadlab.audit%20nobody/stop", headers=bearer(TOKEN))
    lines = [line for line in exposed.errors().splitlines() if "nobody" in line]
    assert len(lines) == 1 and "threadlab.audit 127.0.0.1 POST '/api/v1/runs/1\\n2026" in lines[0]
    assert TOKEN not in exposed.errors()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[LabInside]:
    """A lab of this process that wants its token, so that its codes can be made and its clock be held."""
    with closing(LabInside(tmp_path, token=TOKEN)) as lab:
        yield lab


def guesses(lab: LabInside, number: int = tokens.FAILURES_MAX, **headers: str) -> list[int]:
    """Wrong tokens, and the status of each."""
    said = {"Authorization": f"Bearer {'x' * 40}", **headers}
    return [lab.http.get("/api/v1/engines", headers=said).status_code for _ in range(number)]


def test_a_code_is_redeemed_on_the_first_page_only(guarded: LabInside) -> None:
    code = guarded.app.state.tokens.new_code()
    for path in ("/runs", "/login", "/healthz", "/api/v1/engines", "/static/css/app.css"):
        answer = guarded.http.get(path, params={"token": code})
        assert "set-cookie" not in answer.headers and "used=1" not in answer.headers.get("location", ""), path
    assert "set-cookie" in guarded.http.get("/", params={"token": code}).headers


def test_a_valid_code_never_waits(guarded: LabInside, monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    code = guarded.app.state.tokens.new_code()
    assert guesses(guarded, 11)[-1] == 429
    assert guarded.http.get("/", params={"token": "x"}).status_code == 429
    assert "set-cookie" in guarded.http.get("/", params={"token": code}).headers


@pytest.mark.parametrize(
    ("site", "counts"), [("cross-site", False), ("same-site", False), ("none", True), ("", True)]
)
def test_what_a_foreign_page_makes_a_browser_ask_counts_for_nobody(
    guarded: LabInside, monkeypatch: pytest.MonkeyPatch, site: str, counts: bool
) -> None:
    clock(monkeypatch)
    headers = {"Sec-Fetch-Site": site} if site else {}
    for _ in range(tokens.FAILURES_MAX + 1):
        guarded.http.get("/", params={"token": "x"}, headers=headers)
    assert guesses(guarded, 1) == [429 if counts else 401]


def test_a_used_link_leads_whoever_is_logged_in_to_the_first_page(guarded: LabInside) -> None:
    guarded.http.post("/login", data={"token": TOKEN})
    assert guarded.http.get("/", params={"token": "used"}).headers["location"] == "/"


def test_no_header_makes_another_address_of_a_caller(
    guarded: LabInside, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch)
    for number in range(tokens.FAILURES_MAX):
        assert guesses(
            guarded, 1, **{"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": "for=192.0.2.1"}
        ) == [401]
    assert guesses(guarded, 1, **{"X-Forwarded-For": "192.0.2.99"}) == [429]


def test_a_proxy_that_is_named_tells_its_clients_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch)
    with closing(LabInside(tmp_path, token=TOKEN, trusted_proxies="10.0.0.0/8, 127.0.0.1")) as lab:
        assert guesses(lab, 11, **{"X-Forwarded-For": "192.0.2.1"})[-1] == 429
        assert guesses(lab, 1, **{"X-Forwarded-For": "192.0.2.1, 10.1.2.3"}) == [
            429
        ]  # through two of its proxies
        assert guesses(lab, 1, **{"X-Forwarded-For": "192.0.2.1, 192.0.2.2"}) == [
            401
        ]  # the client has written the first


def test_an_audit_line_takes_no_address_that_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "threadlab.audit")
    with closing(LabInside(tmp_path, trusted_proxies="127.0.0.1")) as lab:
        for said in ("192.0.2.1", "2001:db8::1", "x POST '/api/v1/runs' 200", "a" * 1000):
            lab.http.post("/api/v1/runs/1/stop", headers={"X-Forwarded-For": said})
    lines = [each.getMessage() for each in caplog.records if each.name == "threadlab.audit"]
    assert [line.split(" POST ")[0] for line in lines[:2]] == ["192.0.2.1", "2001:db8::1"]
    assert lines[2].startswith("\"x POST '/api/v1/runs' 200\" POST ") and len(lines[3]) < 200


def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that tokens are checked by, in seconds; it stands still unless the test changes it."""
    now_s = [1000.0]
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def test_guessing_is_slowed_down_but_not_who_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = clock(monkeypatch)
    with closing(LabInside(tmp_path, token=TOKEN)) as lab:
        http = lab.http
        seen = [http.get("/api/v1/engines", headers=bearer(f"guess{i:030}")).status_code for i in range(12)]
        assert seen == [401] * tokens.FAILURES_MAX + [429] * 2
        waiting = http.get("/api/v1/engines", headers=bearer("x" * 40))
        assert int(waiting.headers["retry-after"]) == tokens.WINDOW_S + 1
        assert http.post("/login", data={"token": "x"}).status_code == 429
        for method, path in GUARDED:
            assert http.request(method, path, headers=bearer("f" * 64)).status_code == 429, f"{method} {path}"
        is_problem(http.get("/api/v1/engines"), 401)
        assert http.get("/api/v1/engines", headers=bearer(TOKEN)).status_code == 200
        now_s[0] += tokens.WINDOW_S + 1
        is_problem(http.get("/api/v1/engines", headers=bearer("x" * 40)), 401)


def test_sessions_and_codes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    door, now_s = Tokens(TOKEN), clock(monkeypatch)
    session, code = door.new_session(), door.new_code()
    cookie = f"other=1; {tokens.COOKIE}={session}"
    assert door.knows("", cookie)
    now_s[0] += tokens.LINK_S + 1
    assert not door.take_code(code), "the link is too old"
    now_s[0] += tokens.SESSION_S
    assert not door.knows("", cookie), "the session is over"


def test_a_new_token_is_hard_to_guess() -> None:
    some = {new_token() for _ in range(100)}
    assert len(some) == 100 and all(re.fullmatch(r"[0-9a-f]{64}", each) for each in some)


def test_the_session_cookie_is_found_among_other_cookies() -> None:
    for header in (f"{COOKIE}=x", f"a=1; {COOKIE}=x; b=2", f'a="\\";{COOKIE}=x', f"{COOKIE} = x "):
        assert cookie_value(header, COOKIE) == "x", header
    for header in ("", f"a{COOKIE}=x", COOKIE, f'a="{COOKIE}"=x', ";" * 100):
        assert cookie_value(header, COOKIE) == "", header


def test_no_route_receives_a_cookie_header(tmp_path: Path) -> None:
    """Starlette would read it as http.cookies does."""
    seen: list[list[str]] = []

    async def see(request: Request) -> Response:
        seen.append(list(request.headers))
        return Response()

    with closing(LabInside(tmp_path, token=TOKEN)) as lab:
        lab.app.add_api_route("/seen", see, include_in_schema=False)
        session = lab.app.state.tokens.new_session()
        lab.http.get("/seen", headers={"Cookie": f"{COOKIE}={session}"})
    assert len(seen) == 1 and "cookie" not in seen[0] and "host" in seen[0]
