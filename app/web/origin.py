"""Checks against DNS rebinding (Host) and cross-site requests (Origin and Sec-Fetch-Site)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from app.web.problems import shorten
from app.web.refusal import Refusal

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
OTHER_SITES = frozenset(("cross-site", "same-site"))  # values of Sec-Fetch-Site


def changes_state(scope: Scope) -> bool:
    """Return whether a request can change something.

    A WebSocket counts as changing: another site could read the lab through it.
    """
    return scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS


def check_host(host: str, allowed: frozenset[str]) -> Refusal | None:
    """Refuse a Host header whose name is not allowed. `allowed`: names in lower case, without port."""
    if _host_name(host) in allowed:
        return None
    return Refusal(421, f"The host {shorten(host)!r} is not allowed; see THREADLAB_ALLOWED_HOSTS.")


def check_origin(headers: Headers, host: str) -> Refusal | None:
    """Refuse a changing request that another site has sent. `host`: the Host header.

    Browsers send Origin with every changing request; a program that sends none is not a browser.
    """
    return None if _is_same_origin(headers, host) else Refusal(403, _cross_site_detail(headers, host))


def _is_same_origin(headers: Headers, host: str) -> bool:
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
    # A reverse proxy may remove the port from Host. The browser's same-origin has taken the port into
    # account.
    is_confirmed = headers.get("sec-fetch-site") == "same-origin"
    return is_confirmed and ":" not in host.rpartition("]")[2] and _host_name(netloc) == host.lower()


def _cross_site_detail(headers: Headers, host: str) -> str:
    origin = headers.get("origin")
    detail = "Cross-site request: only pages of this lab, and programs that send no Origin, may send it."
    if origin and _host_name(origin.partition("://")[2]) == _host_name(host):
        detail += f" The page has the origin {shorten(origin)}, but the request has Host: {shorten(host)}."
        detail += " A reverse proxy must pass the Host header on unchanged."
    return detail


def _host_name(host: str) -> str:
    """Return the host in lower case without its port; IPv6 keeps its brackets.

    Empty if the port is not a number.
    """
    if host.endswith("]") or ":" not in host:
        return host.lower()
    name, _, port = host.rpartition(":")
    return name.lower() if port.isascii() and port.isdigit() else ""
