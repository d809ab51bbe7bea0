"""A request as an application gets it: the dictionary `environ` of PEP 3333."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from engines.common.handler import origin_form
from engines.common.http.requests import Request

Environ = dict[str, Any]
_WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")


def server_environ(host: str, port: int, multiprocess: bool) -> Environ:
    """Return what is the same for all requests. `multiprocess`: other processes serve the same application.

    The address of the client is empty, as behind a Unix socket: a handler has the request and no connection.
    """
    return {
        "REMOTE_ADDR": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_SOFTWARE": "threadlab",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }


def request_environ(request: Request, server: Mapping[str, Any]) -> Environ:
    """Return the environ of a request, a new dictionary. Its body is complete."""
    path, _, query = origin_form(request.target).partition(b"?")
    return {
        **server,
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{request.head.version}",
        "wsgi.input": BytesIO(request.body),
        **_header_variables(request),
    }


def _header_variables(request: Request) -> Environ:
    """Return the header fields as variables.

    A field with an underscore in its name is dropped: it would pass for the one with a hyphen. The length is
    that of the body, which is complete even if it came in chunks.
    """
    found: Environ = {}
    for name, value in request.head.fields:
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in _WITHOUT_PREFIX:
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        separator = "; " if key == "HTTP_COOKIE" else ", "
        found[key] = f"{found[key]}{separator}{text}" if key in found else text
    if found.pop("HTTP_TRANSFER_ENCODING", None) or "CONTENT_LENGTH" in found:
        found["CONTENT_LENGTH"] = str(len(request.body))
    return found
