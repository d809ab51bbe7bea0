"""Authentication of an exposed lab: an access token in a header, or a session in a cookie.

A browser gets a session (a HttpOnly, SameSite=Strict cookie) by a one-time link or by the token on the login
page. Tokens and codes are compared in constant time. An address with too many failures must wait.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import defaultdict, deque

COOKIE = "threadlab_session"
SESSION_S = 12 * 3600.0
LINK_S = 600.0
SESSIONS_MAX = 1000
FAILURES_MAX, WINDOW_S = 10, 60.0
ADDRESSES_MAX = 10_000


def new_token() -> str:
    """Return a random token of 256 bits, in hex."""
    return secrets.token_hex(32)


class Authenticator:
    """Checks tokens, login codes and sessions. Event loop only.

    Sessions are kept in memory, so a restart ends them. required: False with an empty token, when all are
    admitted.
    """

    def __init__(self, token: str) -> None:
        self.required = bool(token)
        self._token = token.encode()
        self._sessions: dict[str, float] = {}  # end time (monotonic) by session id
        self._codes: dict[str, float] = {}  # end time by code
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)  # times by address

    def new_login_code(self) -> str:
        """Return a code for a `?token=` link that is valid once, for LINK_S seconds."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = time.monotonic() + LINK_S
        return code

    def new_session(self) -> str:
        """Start a session and return its id. If there are too many, the oldest one ends."""
        now_s = time.monotonic()
        self._sessions = {id: end_s for id, end_s in self._sessions.items() if end_s > now_s}
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        id = secrets.token_urlsafe(32)
        self._sessions[id] = now_s + SESSION_S
        return id

    def is_valid_token(self, text: str) -> bool:
        """Return whether `text` is the access token."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._token)

    def redeem_code(self, text: str) -> bool:
        """Return whether `text` is a valid login code, which becomes invalid."""
        now_s = time.monotonic()
        found = [
            code
            for code in self._codes
            if hmac.compare_digest(code.encode(), text.encode("utf-8", "replace"))
        ]
        return any([self._codes.pop(code) > now_s for code in found])

    def is_authenticated(self, authorization: str, cookie: str) -> bool:
        """Return whether the Authorization or Cookie header of a request has a valid token or session."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_valid_token(token.strip()):
            return True
        return self._sessions.get(cookie_value(cookie, COOKIE), 0.0) > time.monotonic()

    def record_failure(self, address: str) -> None:
        """Count a wrong token or code of a client's address."""
        if len(self._failures) >= ADDRESSES_MAX:
            self._failures.clear()
        self._failures[address].append(time.monotonic())

    def retry_after_s(self, address: str) -> int:
        """Return the seconds that an address must wait after too many failures; 0 if it may try."""
        failures = self._failures.get(address)
        if not failures:
            return 0
        now_s = time.monotonic()
        while failures and failures[0] < now_s - WINDOW_S:
            failures.popleft()
        if len(failures) < FAILURES_MAX:
            return 0
        return int(failures[0] + WINDOW_S - now_s) + 1


def cookie_value(header: str, name: str) -> str:
    """Return the value of one cookie of a Cookie header; empty if it is missing.

    http.cookies is not used: before Python 3.13 it takes quadratic time for quoted values.
    """
    for pair in header.split(";"):
        found, _, value = pair.partition("=")
        if found.strip() == name:
            return value.strip()
    return ""


def session_cookie(session: str, root: str = "") -> str:
    """Return the Set-Cookie value of a session. `root`: the path under which a proxy publishes the lab."""
    return f"{COOKIE}={session}; Path={root or '/'}; Max-Age={int(SESSION_S)}; HttpOnly; SameSite=Strict"
