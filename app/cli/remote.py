"""Runs by a lab that is running, over its REST API (stdlib only); THREADLAB_TOKEN is sent along where it is set.

The server may be anything. The token goes to the origin that was given and to no other, what is read is bounded, and
an answer that no lab would give is NotNow: one sentence, not a traceback.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.addresses import bracketed, is_loopback
from app.cli import shell
from app.errors import Busy, Invalid, LabError, NotNow, Unknown
from app.schemas.comparison import ComparisonView
from app.schemas.run import RunView
from app.settings import Settings

LOOK_S = 0.5
ANSWER_WITHIN_S = 30
ANSWER_MAX = 16 * 2**20  # of JSON that is parsed: the longest comparison is below 1 MiB
EXPORT_MAX = 128 * 2**20  # of a file that is passed on: a trace for Perfetto is 45 MB at most
WORDS_MAX = 200
INTEGER_DIGITS_MAX = 19  # of 64 bits
NOT_A_LAB = "what it says is nothing that a lab would"
PORTS = {"http": 80, "https": 443}
V = TypeVar("V", RunView, ComparisonView)


@dataclass(frozen=True, slots=True)
class _Model:
    """What is needed of a model: the rest of its view may be of another version."""

    name: str
    unavailable_reason: str | None


_RUN = TypeAdapter(RunView)
_COMPARISON = TypeAdapter(ComparisonView)
_MODELS = TypeAdapter(tuple[_Model, ...])
_ERRORS: dict[int, type[LabError]] = {kind.status: kind for kind in (Unknown, NotNow, Invalid, Busy)}


def one_run(server: str, spec: Mapping[str, Any]) -> tuple[RunView, int | None]:
    """Submit a run and wait for its end; the other value is the signal that stopped it early.

    Raises LabError in the server's words, NotNow if there is none.
    """
    return _followed(
        _url(server, "runs"), spec, _RUN, lambda view: view.state.is_unfinished, lambda view: None
    )


def run(server: str, id: int) -> RunView:
    """A run of a lab's history."""
    return _read(_RUN, _url(server, f"runs/{id}"))


def comparison(
    server: str, spec: Mapping[str, Any], told: Callable[[ComparisonView], None]
) -> tuple[ComparisonView, int | None]:
    """Submit a comparison and wait for its end; `told` is called with it now and then. As `one_run` otherwise."""
    return _followed(
        _url(server, "comparisons"), spec, _COMPARISON, lambda view: view.state.is_unfinished, told
    )


class _Caught(NotNow):
    """A signal that asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__("It was interrupted again; what the other lab has begun continues there.")
        self.number = number


class _Signals:
    """Signals that ask us to end. The first is kept until `raised`; one that comes while another is kept is raised."""

    def __init__(self) -> None:
        self._kept: int | None = None
        self._raises = False

    def take(self, number: int, _frame: object) -> None:
        """The signal handler. Raises _Caught."""
        if self._raises or self._kept is not None:
            raise _Caught(number)
        self._kept = number

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Raise signals while the block runs, and first the one that was kept."""
        self._raises = True
        try:
            if self._kept is not None:
                number, self._kept = self._kept, None
                raise _Caught(number)
            yield
        finally:
            self._raises = False


def _followed(
    base: str,
    spec: Mapping[str, Any],
    kind: TypeAdapter[V],
    goes: Callable[[V], bool],
    told: Callable[[V], None],
) -> tuple[V, int | None]:
    """Submit, and follow to the end. The first signal stops it there; a second one leaves it, and says where it is."""
    stopped_by: int | None = None
    with _signals_kept() as signals:
        try:
            view = _read(kind, base, "POST", spec)  # only its answer tells what there is to stop
        except _Caught:
            raise NotNow(
                f"The lab had not answered yet: if it has begun, it goes on there. See {base}."
            ) from None
        at = f"{base}/{view.id}"
        while goes(view):
            try:
                with signals.raised():
                    time.sleep(LOOK_S)
                    view = _read(kind, at)
                    told(view)
            except _Caught as caught:
                if stopped_by is not None:
                    raise NotNow(f"It goes on at {at}; stop it there.") from None
                stopped_by = caught.number
                with contextlib.suppress(NotNow):  # it has just ended
                    _ask("POST", f"{at}/stop")
    return view, stopped_by


@contextlib.contextmanager
def _signals_kept() -> Iterator[_Signals]:
    """Take the signals that ask us to end; only the main thread gets them."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.take) for number in shell.STOPPED_BY}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def export(server: str, id: int, part: str, noun: str = "run") -> str:
    """A run, or a comparison, as a file: `csv`, `junit`, `report` or `bundle`."""
    url = _url(server, f"{noun}s/{id}/{part}")
    try:
        return _fetch("GET", url, EXPORT_MAX).decode()
    except UnicodeDecodeError as error:
        raise _no_lab(url, error) from None


def models(server: str) -> dict[str, str | None]:
    """The models of a lab: why each is unavailable, or None."""
    url = _url(server, "models")
    try:
        found = _MODELS.validate_python(_ask("GET", url))
    except ValidationError as error:
        raise _no_lab(url, error) from None
    if not found:
        raise NotNow(f"No lab answers at {url}: {NOT_A_LAB}.")
    return {model.name: model.unavailable_reason for model in found}


@contextlib.contextmanager
def understood(server: str | None) -> Iterator[None]:
    """Around what works with a server's views: their types are checked, their meaning is not.

    A figure of another version, an entry that is not there or a cost of 0 is then NotNow. Without a server the views
    are our own, and what is raised is our own fault.
    """
    try:
        yield
    except ValidationError:
        raise  # of our settings
    except (LookupError, ArithmeticError, ValueError) as error:
        if not server:
            raise
        raise NotNow(f"The lab at {server} says what this version does not understand: {error!r}.") from error


def _url(server: str, path: str) -> str:
    return f"{server.rstrip('/')}/api/v1/{path}"


def _read(kind: TypeAdapter[V], url: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> V:
    """What a lab answers; NotNow where that is nothing a lab would say."""
    try:
        return kind.validate_python(_ask(method, url, body))
    except ValidationError as error:
        raise _no_lab(url, error) from None


def _ask(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    try:
        return _parsed(_fetch(method, url, ANSWER_MAX, body))
    except (ValueError, RecursionError) as error:
        raise _no_lab(url, error) from None


def _parsed(text: str | bytes) -> Any:
    """JSON as a lab writes it. Raises ValueError, also for numbers that are not finite or beyond 64 bits, which cannot
    be computed with, and RecursionError."""
    return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_integer)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a number")
    return number


def _integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)


def _fetch(method: str, url: str, most: int, body: Mapping[str, Any] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if token := Settings().token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _opener(request.host).open(request, timeout=ANSWER_WITHIN_S) as answer:
            return _bounded(answer, most)
    except urllib.error.HTTPError as error:
        raise _problem(url, error) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_lab(url, error) from None


def _bounded(answer: IO[bytes], most: int) -> bytes:
    """All that is said, if it is not more than `most` bytes; raises ValueError."""
    said = answer.read(most + 1)
    if len(said) > most:
        raise ValueError(f"it says more than {most / 2**20:.0f} MiB")
    return said


def _problem(url: str, error: urllib.error.HTTPError) -> LabError:
    """An error as the lab's own words have it, or by its status where it has none."""
    with error:
        try:
            detail = _detail(_bounded(error, ANSWER_MAX))
        except (OSError, ValueError, RecursionError, http.client.HTTPException):
            detail = None
    return _ERRORS.get(error.code, LabError)(detail or f"{url} answered {error.code}.")


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows a redirect of a GET within its origin. urllib alone would send the token wherever it is told to."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        fp.close()  # or urllib would read what else it says, however much that is
        here, there = _origin(req.full_url), _origin(newurl)
        if here != there:
            raise NotNow(
                f"{here} redirects to {there}, which would get the token as well. If that is the lab, give its "
                f"address: --server {there}"
            )
        if req.get_method() != "GET":
            raise NotNow(
                f"{req.full_url} redirects to {newurl}: give the address at which the lab itself answers."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> str:
    """Scheme, host and port. Raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{bracketed(parts.hostname or '')}:{port}"


def _opener(host: str) -> urllib.request.OpenerDirector:
    """Through the proxy of the environment; but never to this machine itself, for a proxy would get the token."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    direct = [urllib.request.ProxyHandler({})] if is_loopback(name) else []
    return urllib.request.build_opener(_SameOrigin, *direct)


def _detail(said: bytes) -> str | None:
    """The sentence of a lab's problem document. Raises ValueError or RecursionError where it is no JSON."""
    problem = _parsed(said)
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else None


def _no_lab(url: str, error: Exception) -> NotNow:
    said = (
        NOT_A_LAB if isinstance(error, ValidationError | RecursionError) else getattr(error, "reason", error)
    )
    words = " ".join(str(said)[:WORDS_MAX].split())  # it may quote the server
    return NotNow(f"No lab answers at {url}: {words or NOT_A_LAB}.")
