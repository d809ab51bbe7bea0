"""ASGI middleware that checks every HTTP request and WebSocket before the application gets it.

In this order: the Host allow-list, Origin and Sec-Fetch-Site of changing requests and WebSockets, the size of
the body, the access token if one is configured, and then the whole body. Every response gets security
headers, and every changing request a line in the audit log. There is no CORS header. docs/security.md lists
the guarantees.
"""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.audit import client_address, quoted, with_audit_log
from app.web.authentication import Authenticator, session_cookie
from app.web.origin import OTHER_SITES, changes_state, check_host, check_origin
from app.web.refusal import Refusal, refusal_response
from app.web.request_body import BodyTooLong, is_allowed_length, read_body
from app.web.response_headers import with_security_headers

POLICY_VIOLATION = 1008  # close code of a WebSocket
CLOSE_REASON_MAX = 120
PUBLIC_PATHS = frozenset(("/healthz", "/readyz", "/login"))  # and static files
BODY_TOO_LONG = Refusal(413, "The request body exceeds 64 KiB.")
NO_TOKEN = Refusal(
    401, "This lab requires its access token: send Authorization: Bearer …, or log in at /login."
)

_logger = logging.getLogger("threadlab.requests")


class SecurityMiddleware:
    """Passes permitted requests to `app` and refuses all others. Event loop only.

    hosts: permitted names of the Host header, without port.
    root: the path under which a reverse proxy publishes the lab; the proxy may remove it or not.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str], authenticator: Authenticator, root: str = ""
    ) -> None:
        self._app = app
        self._root = root
        self._hosts = hosts
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        scope = self._without_root(scope)
        headers = Headers(scope=scope)
        refusal = self._check_headers(scope, headers)
        if scope["type"] == "websocket":
            refusal = refusal or self._check_token(scope, headers)
            return await self._handle_websocket(scope, receive, send, refusal)
        send = with_audit_log(scope, send, self._is_authenticated(headers))
        send = with_security_headers(send, self._root)
        if refusal is None and (code := self._login_code(scope)) is not None:
            return await self._log_in(code, scope, headers)(scope, receive, send)
        refusal = refusal or self._check_token(scope, headers)
        if refusal is None:
            return await self._call_with_body(_without_cookies(_head_as_get(scope)), receive, send)
        await refusal_response(refusal, scope, headers)(scope, receive, send)

    def _without_root(self, scope: Scope) -> Scope:
        path = scope["path"]
        if not self._root or not (path == self._root or path.startswith(f"{self._root}/")):
            return scope
        short = path[len(self._root) :] or "/"
        return {**scope, "path": short, "raw_path": short.encode()}

    async def _handle_websocket(
        self, scope: Scope, receive: Receive, send: Send, refusal: Refusal | None
    ) -> None:
        if refusal is None:
            return await self._app(_without_cookies(scope), receive, send)
        await receive()
        reason = refusal.detail[:CLOSE_REASON_MAX]
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})

    def _check_headers(self, scope: Scope, headers: Headers) -> Refusal | None:
        host = headers.get("host", "")
        if refusal := check_host(host, self._hosts):
            return refusal
        if changes_state(scope) and (refusal := check_origin(headers, host)):
            return refusal
        if scope["type"] == "http" and not is_allowed_length(headers.get("content-length", "0")):
            return BODY_TOO_LONG
        return None

    def _is_authenticated(self, headers: Headers) -> bool:
        """Return whether the request has a valid token or session, or none is required."""
        return not self._authenticator.required or self._authenticator.is_authenticated(
            headers.get("authorization", ""), headers.get("cookie", "")
        )

    def _check_token(self, scope: Scope, headers: Headers) -> Refusal | None:
        path = scope["path"]
        if path in PUBLIC_PATHS or path.startswith("/static/") or self._is_authenticated(headers):
            return None
        if headers.get("authorization"):  # a request without one is not a guess, so it is not counted
            if refusal := self._check_attempts(scope):
                return refusal
            self._authenticator.record_failure(client_address(scope))
        return NO_TOKEN

    def _login_code(self, scope: Scope) -> str | None:
        """Return the code of a one-time link to the start page; None for other requests."""
        if not self._authenticator.required or scope["method"] != "GET" or scope["path"] != "/":
            return None
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", ())), None)

    def _log_in(self, code: str, scope: Scope, headers: Headers) -> Response:
        """Exchange a code for a session, and redirect so that the code is not in the URL.

        A valid code is accepted despite earlier failures. A wrong one counts as a failure, unless another
        site has sent the browser here.
        """
        if self._authenticator.redeem_code(code):
            response = RedirectResponse("/", 303)
            response.headers["Set-Cookie"] = session_cookie(self._authenticator.new_session(), self._root)
            return response
        if self._is_authenticated(headers):
            return RedirectResponse("/", 303)
        if headers.get("sec-fetch-site") not in OTHER_SITES:
            if refusal := self._check_attempts(scope):
                return refusal_response(refusal, scope, headers)
            self._authenticator.record_failure(client_address(scope))
        return RedirectResponse("/login?used=1", 303)

    def _check_attempts(self, scope: Scope) -> Refusal | None:
        """Refuse an address that has sent too many wrong tokens."""
        address = client_address(scope)
        wait_s = self._authenticator.retry_after_s(address)
        if not wait_s:
            return None
        return Refusal(429, f"Too many wrong tokens from {address}; try again in {wait_s} s.", wait_s)

    async def _call_with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with the whole body; not at all if the body is too long or incomplete."""
        try:
            messages = [{"type": "http.request", "body": await read_body(receive), "more_body": False}]
        except BodyTooLong:
            response = refusal_response(BODY_TOO_LONG, scope, Headers(scope=scope))
            return await response(scope, receive, send)
        except ClientDisconnect:
            _logger.warning(
                "%s disconnected before the body of %s %s was complete",
                client_address(scope),
                scope["method"],
                quoted(scope["path"]),
            )
            return

        async def receive_body() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, receive_body, send)


def _head_as_get(scope: Scope) -> Scope:
    """Routes need not support HEAD: it is GET, and the server leaves the body out."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def _without_cookies(scope: Scope) -> Scope:
    """Remove the cookies, which no route needs: Starlette parses them in quadratic time."""
    return {**scope, "headers": [each for each in scope["headers"] if each[0] != b"cookie"]}
