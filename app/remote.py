"""Runs by a lab that is running, over its REST API (stdlib only); THREADLAB_TOKEN is sent along where it is set."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from app import shell
from app.addresses import is_loopback
from app.errors import Busy, Invalid, LabError, NotNow, Unknown
from app.lab.comparison import GOING, ComparisonView
from app.lab.views import RunView
from app.settings import Settings
from app.store.runs import UNFINISHED

LOOK_S = 0.5
ANSWER_WITHIN_S = 30
V = TypeVar("V", RunView, ComparisonView)
_RUN = TypeAdapter(RunView)
_COMPARISON = TypeAdapter(ComparisonView)
_ERRORS: dict[int, type[LabError]] = {kind.status: kind for kind in (Unknown, NotNow, Invalid, Busy)}


def one_run(server: str, spec: Mapping[str, Any]) -> tuple[RunView, int | None]:
    """Submit a run and wait for its end; the other value is the signal that stopped it early.

    Raises LabError in the server's words, NotNow if there is none.
    """
    return _followed(_url(server, "runs"), spec, _RUN, lambda view: view.state in UNFINISHED, lambda view: None)


def run(server: str, id: int) -> RunView:
    """A run of a lab's history."""
    return _read(_RUN, _url(server, f"runs/{id}"))


def comparison(
    server: str, spec: Mapping[str, Any], told: Callable[[ComparisonView], None]
) -> tuple[ComparisonView, int | None]:
    """Submit a comparison and wait for its end; `told` is called with it now and then. As `one_run` otherwise."""
    return _followed(_url(server, "comparisons"), spec, _COMPARISON, lambda view: view.state in GOING, told)


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
    base: str, spec: Mapping[str, Any], kind: TypeAdapter[V], goes: Callable[[V], bool], told: Callable[[V], None]
) -> tuple[V, int | None]:
    """Submit, and follow to the end. The first signal stops it there; a second one leaves it, and says where it is."""
    stopped_by: int | None = None
    with _signals_kept() as signals:
        try:
            view = _read(kind, base, "POST", spec)  # only its answer tells what there is to stop
        except _Caught:
            raise NotNow(f"The lab had not answered yet: if it has begun, it goes on there. See {base}.") from None
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
    return _fetch("GET", _url(server, f"{noun}s/{id}/{part}")).decode()


def models(server: str) -> dict[str, str | None]:
    """The models of a lab: why each is unavailable, or None."""
    url = _url(server, "models")
    try:
        found: dict[str, str | None] = {view["name"]: view["unavailable_reason"] for view in _ask("GET", url)}
    except (TypeError, KeyError):
        found = {}
    if not found:
        raise _no_lab(url, ValueError("what it says is nothing that a lab would"))
    return found


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
        return json.loads(_fetch(method, url, body))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _no_lab(url, error) from None


def _fetch(method: str, url: str, body: Mapping[str, Any] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if token := Settings().token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _opener(request.host).open(request, timeout=ANSWER_WITHIN_S) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode("utf-8", "replace")
        raise _ERRORS.get(error.code, LabError)(_detail(said) or f"{url} answered {error.code}.") from None
    except (OSError, ValueError) as error:
        raise _no_lab(url, error) from None


def _opener(host: str) -> urllib.request.OpenerDirector:
    """Through the proxy of the environment; but never to this machine itself, for a proxy would get the token."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_loopback(name) else []))


def _detail(said: str) -> str | None:
    """The sentence of a lab's problem document."""
    try:
        detail = json.loads(said)["detail"]
    except (ValueError, KeyError, TypeError):
        return None
    return detail if isinstance(detail, str) else None


def _no_lab(url: str, error: Exception) -> NotNow:
    said = "what it says is nothing that a lab would" if isinstance(error, ValidationError) else error
    return NotNow(f"No lab answers at {url}: {getattr(said, 'reason', said)}.")
