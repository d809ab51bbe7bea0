"""Who may come in where the lab is exposed: a bearer token, or a session that was got for it.

A browser gets its session (a HttpOnly, SameSite=Strict cookie) by a one-time link or by pasting the token. Codes and
tokens are compared in constant time, and an address that keeps failing is made to wait.
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
    """256 bits, in hex."""
    return secrets.token_hex(32)


class Tokens:
    """Checks tokens and keeps sessions, in memory: a restart ends them. An empty token leaves the door open."""

    def __init__(self, token: str) -> None:
        self.required = bool(token)
        self._token = token.encode()
        self._sessions: dict[str, float] = {}  # id → when it ends (monotonic)
        self._codes: dict[str, float] = {}
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)

    def new_code(self) -> str:
        """A code for one `?token=` link, good once and for ten minutes."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = time.monotonic() + LINK_S
        return code

    def new_session(self) -> str:
        now_s = time.monotonic()
        self._sessions = {id: end for id, end in self._sessions.items() if end > now_s}
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        id = secrets.token_urlsafe(32)
        self._sessions[id] = now_s + SESSION_S
        return id

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._token)

    def take_code(self, text: str) -> bool:
        """Whether `text` is a code that was not used yet; it is used up by this."""
        now_s = time.monotonic()
        found = [
            code
            for code in self._codes
            if hmac.compare_digest(code.encode(), text.encode("utf-8", "replace"))
        ]
        return any([self._codes.pop(code) > now_s for code in found])

    def knows(self, authorization: str, cookie: str) -> bool:
        """Whether the headers of a request prove that it may come in."""
        scheme, _, said = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(said.strip()):
            return True
        return self._sessions.get(cookie_value(cookie, COOKIE), 0.0) > time.monotonic()

    def failed(self, address: str) -> None:
        """Count a wrong token or code."""
        if len(self._failures) >= ADDRESSES_MAX:
            self._failures.clear()
        self._failures[address].append(time.monotonic())

    def must_wait_s(self, address: str) -> int:
        """Seconds that an address has to wait after too many failures; 0: none."""
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
    """The value of one cookie of a Cookie header; empty if it is not there.

    Not by http.cookies: of quoted values it takes time quadratic in their length before Python 3.13.
    """
    for pair in header.split(";"):
        found, _, value = pair.partition("=")
        if found.strip() == name:
            return value.strip()
    return ""


def cookie_header(session: str, root: str = "") -> str:
    """The Set-Cookie value that carries a session; `root`: the path under which a proxy shows the lab."""
    return f"{COOKIE}={session}; Path={root or '/'}; Max-Age={int(SESSION_S)}; HttpOnly; SameSite=Strict"
