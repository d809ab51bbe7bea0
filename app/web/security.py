"""The door: one ASGI middleware for HTTP and WebSocket.

In this order: Host allow-list (DNS rebinding), Origin / Sec-Fetch-Site on whatever changes something and on every
WebSocket, the token where there is one, and the whole of a bounded body. Security headers on every answer, a line in
the audit log for each call that changes something. No CORS header, ever. docs/security.md says what is promised.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.problems import problem
from app.web.tokens import Tokens, cookie_header

BODY_MAX = 64 * 1024
ECHOED_MAX = 200
BACK_MAX = 2000  # of the address to go on to after a login
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REFUSED_WS = 1008
TITLE = "Refused at the door"
# What whoever has no token may see: whether the lab lives, how it looks, and where to say the token.
OPEN_PATHS = frozenset(("/healthz", "/readyz", "/login"))

# Statuses of calls that were not let in.
REFUSED = frozenset((401, 403, 413, 421, 429))
FOREIGN_SITES = frozenset(("cross-site", "same-site"))

audit = logging.getLogger("threadlab.audit")
log = logging.getLogger("threadlab.requests")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not let in."""

    status: int
    detail: str
    retry_after_s: int = 0


TOO_LONG = Refusal(413, "A body is at most 64 KiB here.")
NO_TOKEN = Refusal(401, "This lab wants its token: Authorization: Bearer …, or log in at /login.")


class Door:
    """Lets in whom it should. `hosts` are the names, without port, that this lab answers to; `root` is the path under
    which a proxy shows it, whether the proxy takes it off or not."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], tokens: Tokens, root: str = "") -> None:
        self._app = app
        self._root = root
        self._hosts = hosts
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        scope = self._below_root(scope)
        headers = Headers(scope=scope)
        refusal = self._stranger(scope, headers)
        if scope["type"] == "websocket":
            return await self._websocket(scope, receive, send, refusal or self._token(scope, headers))
        send = _with_headers(_audited(scope, send, self._knows(headers)), self._root)
        if refusal is None and (code := self._code(scope)) is not None:
            return await self._redeem(code, scope, headers)(scope, receive, send)
        refusal = refusal or self._token(scope, headers)
        if refusal is None:
            return await self._with_body(_without_cookies(_answering_head(scope)), receive, send)
        await _refused(refusal, scope, headers)(scope, receive, send)

    def _below_root(self, scope: Scope) -> Scope:
        """The call as it would be without a path before it."""
        path = scope["path"]
        if not self._root or not (path == self._root or path.startswith(f"{self._root}/")):
            return scope
        short = path[len(self._root) :] or "/"
        return {**scope, "path": short, "raw_path": short.encode()}

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, refusal: Refusal | None) -> None:
        if refusal is None:
            return await self._app(_without_cookies(scope), receive, send)
        await receive()
        await send({"type": "websocket.close", "code": REFUSED_WS, "reason": refusal.detail[:120]})

    def _stranger(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Whether the call is meant for another host, comes from another site, or is too long."""
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return Refusal(
                421, f"This lab does not answer to the host {cut(host)!r}; see THREADLAB_ALLOWED_HOSTS."
            )
        if changes_something(scope) and not _same_origin(headers, host):
            return Refusal(403, _foreign(headers, host))
        length = headers.get("content-length", "0")
        if scope["type"] == "http" and not _fits(length):
            return TOO_LONG
        return None

    def _knows(self, headers: Headers) -> bool:
        """Whether the caller has the token, or none is needed."""
        return not self._tokens.required or self._tokens.knows(
            headers.get("authorization", ""), headers.get("cookie", "")
        )

    def _token(self, scope: Scope, headers: Headers) -> Refusal | None:
        path = scope["path"]
        if path in OPEN_PATHS or path.startswith("/static/") or self._knows(headers):
            return None
        if headers.get(
            "authorization"
        ):  # an attempt; who sends none guesses nothing, and need not wait to be told so
            if refusal := self._must_wait(scope):
                return refusal
            self._tokens.failed(_address(scope))
        return NO_TOKEN

    def _code(self, scope: Scope) -> str | None:
        """The code of a one-time link, if the call is one: they lead to the first page, and nowhere else."""
        if not self._tokens.required or scope["method"] != "GET" or scope["path"] != "/":
            return None
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", ())), None)

    def _redeem(self, code: str, scope: Scope, headers: Headers) -> Response:
        """Change the code for a session at once, and get it out of the URL.

        A right code never waits. A wrong one counts, but not where a page of another site has sent the browser here.
        """
        if self._tokens.take_code(code):
            answer = RedirectResponse("/", 303)
            answer.headers["Set-Cookie"] = cookie_header(self._tokens.new_session(), self._root)
            return answer
        if self._knows(headers):
            return RedirectResponse("/", 303)
        if headers.get("sec-fetch-site") not in FOREIGN_SITES:
            if refusal := self._must_wait(scope):
                return _refused(refusal, scope, headers)
            self._tokens.failed(_address(scope))
        return RedirectResponse("/login?used=1", 303)

    def _must_wait(self, scope: Scope) -> Refusal | None:
        address = _address(scope)
        wait_s = self._tokens.must_wait_s(address)
        return (
            Refusal(429, f"Too many wrong tokens from {address}; try again in {wait_s} s.", wait_s)
            if wait_s
            else None
        )

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application have the whole body, or nothing of it: one that is too long or broken off never comes."""
        try:
            messages = [{"type": "http.request", "body": await _whole_body(receive), "more_body": False}]
        except BodyTooLong:
            return await _refused(TOO_LONG, scope, Headers(scope=scope))(scope, receive, send)
        except ClientDisconnect:
            log.warning(
                "%s left before the body of %s %s was whole",
                _address(scope),
                scope["method"],
                _literal(scope["path"]),
            )
            return

        async def receiving() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, receiving, send)


class BodyTooLong(Exception):
    """A body without a length went on for too long."""


async def _whole_body(receive: Receive) -> bytes:
    """Raises BodyTooLong, or ClientDisconnect where the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            raise BodyTooLong
        if not message.get("more_body", False):
            return bytes(body)


def changes_something(scope: Scope) -> bool:
    """A WebSocket counts: a foreign page could read the lab through it."""
    return scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS


def _refused(refusal: Refusal, scope: Scope, headers: Headers) -> Response:
    for_people = "text/html" in headers.get("accept", "") and not scope["path"].startswith("/api/v1")
    if refusal.status == 401 and for_people and scope["method"] == "GET":
        back = scope["path"] + (f"?{query}" if (query := scope["query_string"].decode("latin-1")) else "")
        to_first = back == "/" or len(back) > BACK_MAX
        return RedirectResponse("/login" if to_first else f"/login?{urlencode({'next': back})}", 303)
    answer = problem(refusal.status, TITLE, refusal.detail, scope["path"], "refused")
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="threadlab"'
    if refusal.retry_after_s:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    return answer


def _same_origin(headers: Headers, host: str) -> bool:
    """Browsers send Origin with whatever changes something; a program that sends none is not a browser."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    scheme, _, netloc = origin.partition("://")
    if scheme not in ("http", "https"):
        return False
    if netloc.lower() == host.lower():
        return True
    # A proxy in front may leave the port out of Host. Only the browser can say same-origin, and it has seen the port.
    said_so = headers.get("sec-fetch-site") == "same-origin"
    return said_so and ":" not in host.rpartition("]")[2] and _name(netloc) == host.lower()


def _foreign(headers: Headers, host: str) -> str:
    """Why a page is taken for a foreign one."""
    origin = headers.get("origin")
    said = "Only this lab's own pages, and programs that send no Origin, may do that."
    if origin and _name(origin.partition("://")[2]) == _name(host):
        said += f" The page is of {cut(origin)}, and the request says Host: {cut(host)}: "
        said += "a proxy in front must pass Host on as it is."
    return said


def _fits(length: str) -> bool:
    """Whether a Content-Length is one that is taken here."""
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= BODY_MAX


def cut(text: str) -> str:
    """What a client has said, as far as it is told again."""
    return text if len(text) <= ECHOED_MAX else f"{text[:ECHOED_MAX]}…"


def _answering_head(scope: Scope) -> Scope:
    """HEAD is GET without a body, and the server leaves that out; no route needs to know."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def _without_cookies(scope: Scope) -> Scope:
    """Nobody behind needs them, and Starlette reads them in a time that is quadratic in their length."""
    return {**scope, "headers": [each for each in scope["headers"] if each[0] != b"cookie"]}


def _name(host: str) -> str:
    """The host without its port, lower case; IPv6 keeps its brackets. Empty if the port is no number."""
    if host.endswith("]") or ":" not in host:
        return host.lower()
    name, _, port = host.rpartition(":")
    return name.lower() if port.isascii() and port.isdigit() else ""


def _address(scope: Scope) -> str:
    """The client's address; a literal where a trusted proxy has said something else."""
    client = scope.get("client")
    try:
        return str(ip_address(client[0])) if client else "nowhere"
    except ValueError:
        return repr(client[0][:80]) if client else "nowhere"


def _literal(path: str) -> str:
    return cut(repr(path))


def _audited(scope: Scope, send: Send, known: bool) -> Send:
    """One line for each call that changes something; the path as a literal, so that it cannot forge a line.

    Of calls that were not let in, and of what others ask in vain, those that repeat are counted and not logged each.
    """
    if not changes_something(scope):
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            in_vain = status in REFUSED or (status >= 400 and not known)
            level = logging.WARNING if in_vain else logging.INFO
            audit.log(level, "%s %s %s %d", _address(scope), scope["method"], _literal(scope["path"]), status)
        await send(message)

    return sending


def _with_headers(send: Send, root: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if root and headers.get("location", "").startswith("/"):
                headers["Location"] = root + headers["location"]
        await send(message)

    return sending
