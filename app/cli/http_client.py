"""HTTP requests to the API of a remote lab, by httpx. THREADLAB_TOKEN is sent where it is set.

The server may be anything, so:

- The token goes to the origin of the given URL only. A redirect to another origin is refused.
- A body is read up to a maximum size, and never decompressed. Each read and write has a timeout.
- Whatever goes wrong is a LabError with one sentence.
- Requests to this machine use no proxy, as the proxy would get the token. Other requests use http_proxy,
  https_proxy and no_proxy, and no other variable of the environment: no ALL_PROXY, no ~/.netrc.
"""

from __future__ import annotations

import json
import math
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from app.addresses import bracketed, is_loopback
from app.errors import Busy, FieldProblem, Invalid, LabError, NotNow, Unknown
from app.settings import Settings

TIMEOUT_S = 30  # of each connect, read and write
JSON_MAX_BYTES = 16 * 2**20  # the longest comparison is below 1 MiB
EXPORT_MAX_BYTES = 128 * 2**20  # a trace for Perfetto has 45 MB at most
REDIRECTS_MAX = 10
QUOTE_MAX = 200  # characters of an error that may quote the server
INTEGER_DIGITS_MAX = 19  # of 64 bits
NOT_A_LAB = "the response is not one of a lab"
DEFAULT_PORTS = {"http": 80, "https": 443}
FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError, ImportError)
_FIELD = TypeAdapter(FieldProblem)
_ERRORS: dict[int, type[LabError]] = {kind.status: kind for kind in (Unknown, NotNow, Invalid, Busy)}


def fetch_json(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    """Send a request and return the parsed JSON of its response.

    Raises LabError with the detail of the server's problem document, NotNow if no lab responds.
    """
    try:
        return _parsed(_fetch(method, url, JSON_MAX_BYTES, body))
    except (ValueError, RecursionError) as error:
        raise not_a_lab(url, error) from None


def fetch_text(url: str) -> str:
    """Return the body of a GET, at most 128 MiB of UTF-8. Raises as `fetch_json`."""
    try:
        return _fetch("GET", url, EXPORT_MAX_BYTES).decode()
    except UnicodeDecodeError as error:
        raise not_a_lab(url, error) from None


def not_a_lab(url: str, error: Exception) -> NotNow:
    """Return the error for a server that cannot be reached, or whose response is not one of a lab."""
    says = "" if isinstance(error, ValidationError | RecursionError) else str(error)
    words = " ".join(says[:QUOTE_MAX].split()).rstrip(".")
    return NotNow(f"There is no lab at {url}: {words or NOT_A_LAB}.")


def _fetch(method: str, url: str, max_bytes: int, body: Mapping[str, Any] | None = None) -> bytes:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if token := Settings().token:
        headers["Authorization"] = f"Bearer {token}"
    content = None if body is None else json.dumps(body).encode()
    try:
        target = httpx.URL(url)
        for _ in range(REDIRECTS_MAX + 1):
            with _client(target) as client:
                request = client.build_request(method, target, headers=headers, content=content)
                # The auth of httpx would replace the token by a user name and password in the URL.
                response = client.send(request, stream=True, auth=httpx.Auth())
                if not response.has_redirect_location:
                    return _body(response, max_bytes)
            target = _redirected(response)
    except FAILURES as error:
        raise not_a_lab(url, error) from None
    raise NotNow(f"{url} redirects more than {REDIRECTS_MAX} times.")


def _client(target: httpx.URL) -> httpx.Client:
    """Return a client for one request: after an interrupt no connection is in an unknown state."""
    # Certificates of the system, as of other programs; httpx would use those of the certifi package.
    is_tls = target.scheme == "https"
    verify = ssl.create_default_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(trust_env=False, proxy=_proxy(target), verify=verify, timeout=TIMEOUT_S)


def _proxy(target: httpx.URL) -> str | None:
    """Return the URL of the environment's proxy, or None for this machine and for hosts of no_proxy."""
    if is_loopback(target.host) or urllib.request.proxy_bypass(target.netloc.decode()):
        return None
    proxy = urllib.request.getproxies().get(target.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _redirected(response: httpx.Response) -> httpx.URL:
    """Return where a redirect leads. Raises NotNow unless it is of a GET and within the origin."""
    url = response.request.url
    target = url.join(response.headers["Location"])
    here, there = _origin(url), _origin(target)
    if here != there:
        raise NotNow(
            f"{here} redirects to {there}, which would get the token as well. If that is the lab, give its "
            f"address: --server {there}"
        )
    if response.request.method != "GET":
        raise NotNow(f"{url} redirects to {target}. Give the address of the lab itself.")
    return target


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{bracketed(url.host)}:{url.port or DEFAULT_PORTS.get(url.scheme, 0)}"


def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the body of a successful response.

    Raises LabError for another status, ValueError for a longer body.
    """
    if response.is_success:
        return _bounded(response, max_bytes)
    try:
        detail, problems = _problem(_bounded(response, JSON_MAX_BYTES))
    except FAILURES:
        detail, problems = None, ()
    status = response.status_code
    detail = detail or f"{response.request.url} responded with status {status}."
    raise _ERRORS.get(status, LabError)(detail, problems)


def _bounded(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the body as it was sent. Raises ValueError once it is longer than `max_bytes`."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise ValueError(f"the response is longer than {max_bytes / 2**20:.0f} MiB")
    return bytes(body)


def _problem(body: bytes) -> tuple[str | None, tuple[FieldProblem, ...]]:
    """Return the detail of a problem document, None if it has none, and its fields.

    Raises ValueError or RecursionError.
    """
    problem = _parsed(body)
    if not isinstance(problem, dict):
        return None, ()
    detail, errors = problem.get("detail"), problem.get("errors")
    return detail if isinstance(detail, str) else None, _fields(errors if isinstance(errors, list) else [])


def _fields(errors: list[Any]) -> tuple[FieldProblem, ...]:
    try:
        return tuple(_FIELD.validate_python(each) for each in errors)
    except ValidationError:
        return ()


def _parsed(text: str | bytes) -> Any:
    """Return parsed JSON.

    Raises ValueError, also for numbers that are not finite or have more than 64 bits, and RecursionError.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_integer)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a number")
    return number


def _integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)
