"""Runs, comparisons, experiments and tunings on a remote lab (`--server URL`), by its REST API."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.cli import progress, stop_signals
from app.cli.http_client import NOT_A_LAB, fetch_json, fetch_text, not_a_lab
from app.cli.stop_signals import DeferredSignals, Interrupted
from app.errors import NotNow
from app.schemas.comparison import ComparisonView
from app.schemas.experiment import ClaimView, ExperimentView
from app.schemas.host import HostView
from app.schemas.run import RunView
from app.schemas.tuning import TuningView

if TYPE_CHECKING:
    from app.report.export import Export

POLL_S = 0.5
V = TypeVar("V", RunView, ComparisonView, ExperimentView, TuningView)


@dataclass(frozen=True, slots=True)
class _Model:
    """What is needed of a model: the rest of its view may be of another version."""

    name: str
    unavailable_reason: str | None


_RUN = TypeAdapter(RunView)
_COMPARISON = TypeAdapter(ComparisonView)
_EXPERIMENT = TypeAdapter(ExperimentView)
_TUNING = TypeAdapter(TuningView)
_CLAIMS = TypeAdapter(list[ClaimView])
_HOSTS = TypeAdapter(tuple[HostView, ...])
_MODELS = TypeAdapter(tuple[_Model, ...])


class RemoteLab:
    """The lab at `server`. A signal stops what this process has submitted."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.stopped_by: int | None = None  # the first signal

    def available_models(self) -> list[str]:
        """Return the names of the available models. The others are named on stderr, with the reason."""
        return progress.available(get_models(self._server))

    def run(self, spec: Mapping[str, Any]) -> RunView:
        """Submit a run, and return it when it has ended. Raises NotNow if there is no lab."""
        with progress.bar() as drawn:
            return self._followed(
                "runs", spec, _RUN, lambda view: drawn.update(view.model, view.progress, view.state)
            )

    def compare(self, spec: Mapping[str, Any]) -> ComparisonView:
        """Submit a comparison, and return it when it has ended. Raises NotNow if there is no lab."""
        with understood(self._server), progress.bar() as drawn:
            return self._followed("comparisons", spec, _COMPARISON, progress.trial_reporter(drawn))

    def experiment(self, spec: Mapping[str, Any]) -> list[ExperimentView]:
        """Submit experiments, and return them when all have ended. Raises NotNow if there is no lab."""
        body = {("set" if name == "which" else name): value for name, value in spec.items() if value}
        with understood(self._server), progress.bar() as drawn:
            return self._followed_session("experiments", body, progress.experiment_reporter(drawn))

    def tune(self, spec: Mapping[str, Any]) -> TuningView:
        """Submit a tuning, and return it when it has ended. Raises NotNow if there is no lab."""
        names = {"low": "from", "high": "to"}
        body = {names.get(name, name): value for name, value in spec.items() if value is not None}
        with understood(self._server), progress.bar() as drawn:
            return self._followed("tunings", body, _TUNING, progress.tuning_reporter(drawn))

    def resume_experiment(self, id: int) -> ExperimentView:
        """Continue an experiment, and return it when it has ended. Raises NotNow if there is no lab."""
        with understood(self._server), progress.bar() as drawn:
            report = progress.experiment_reporter(drawn)
            return self._followed_session(f"experiments/{id}/resume", {}, report)[0]

    def claims(self) -> list[ClaimView]:
        """Return all claims with their last answers. Raises NotNow if there is no lab."""
        url = _url(self._server, "claims")
        try:
            return _CLAIMS.validate_python(fetch_json("GET", url))
        except ValidationError as error:
            raise not_a_lab(url, error) from None

    def get_run(self, id: int) -> RunView:
        """Return a run of the lab's history."""
        return get_run(self._server, id)

    def export(self, export: Export, id: int) -> str:
        """Return an export of the run or comparison with this id."""
        return fetch_text(_url(self._server, f"{export.noun}s/{id}/{export.name}"))

    def _followed(
        self, noun: str, spec: Mapping[str, Any], kind: TypeAdapter[V], on_change: Callable[[V], None]
    ) -> V:
        view, stopped_by = _followed(_url(self._server, noun), spec, kind, on_change)
        self.stopped_by = self.stopped_by or stopped_by
        return view

    def _followed_session(
        self,
        path: str,
        body: Mapping[str, Any],
        report: Callable[[Sequence[ExperimentView]], None],
    ) -> list[ExperimentView]:
        """Submit experiments and poll each until it has ended. A signal stops all of them."""
        ended: list[ExperimentView] = []
        with stop_signals.deferred() as signals:
            first = _submitted(_url(self._server, path), body, _EXPERIMENT)
            ids = first.session

            def on_change(view: ExperimentView) -> None:
                report([view if id == view.id else self._experiment(id) for id in ids])

            on_change(first)
            for id in ids:
                at = _url(self._server, f"experiments/{id}")
                if self.stopped_by is not None:
                    with contextlib.suppress(NotNow):
                        fetch_json("POST", f"{at}/stop")
                view, stopped_by = _polled(signals, at, self._experiment(id), _EXPERIMENT, on_change)
                self.stopped_by = self.stopped_by or stopped_by
                ended.append(view)
        return ended

    def _experiment(self, id: int) -> ExperimentView:
        return _read(_EXPERIMENT, _url(self._server, f"experiments/{id}"))


def get_hosts(server: str) -> tuple[HostView, ...]:
    """Return the hosts of the lab. Raises NotNow if there is no lab."""
    url = _url(server, "hosts")
    try:
        return _HOSTS.validate_python(fetch_json("GET", url))
    except ValidationError as error:
        raise not_a_lab(url, error) from None


@contextlib.contextmanager
def opened(server: str) -> Iterator[RemoteLab]:
    """Yield the lab at `server`. Nothing is sent before it is used."""
    yield RemoteLab(server)


def get_run(server: str, id: int) -> RunView:
    """Return a run of the lab's history. Raises LabError: Unknown if there is no such run."""
    return _read(_RUN, _url(server, f"runs/{id}"))


def get_models(server: str) -> dict[str, str | None]:
    """Return the lab's models by name, each with the reason why it is unavailable, or None."""
    url = _url(server, "models")
    try:
        found = _MODELS.validate_python(fetch_json("GET", url))
    except ValidationError as error:
        raise not_a_lab(url, error) from None
    if not found:
        raise NotNow(f"There is no lab at {url}: {NOT_A_LAB}.")
    return {model.name: model.unavailable_reason for model in found}


@contextlib.contextmanager
def understood(server: str | None) -> Iterator[None]:
    """Raise NotNow if a server's views have the right types, but values that this version cannot use.

    For example an unknown figure, an entry that does not exist, or a cost of 0. Without a server the views
    are our own, so an error is a bug of ours and passes unchanged.
    """
    try:
        yield
    except ValidationError:
        raise  # of our settings
    except (LookupError, ArithmeticError, ValueError) as error:
        if not server:
            raise
        raise NotNow(
            f"This version does not understand the response of the lab at {server}: {error!r}."
        ) from error


def _url(server: str, path: str) -> str:
    return f"{server.rstrip('/')}/api/v1/{path}"


def _read(kind: TypeAdapter[V], url: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> V:
    try:
        return kind.validate_python(fetch_json(method, url, body))
    except ValidationError as error:
        raise not_a_lab(url, error) from None


def _followed(
    base: str, spec: Mapping[str, Any], kind: TypeAdapter[V], on_change: Callable[[V], None]
) -> tuple[V, int | None]:
    """Submit and poll until the end. Returns the signal that stopped it early, or None."""
    with stop_signals.deferred() as signals:
        view = _submitted(base, spec, kind)
        return _polled(signals, f"{base}/{view.id}", view, kind, on_change)


def _submitted(url: str, spec: Mapping[str, Any], kind: TypeAdapter[V]) -> V:
    try:
        return _read(kind, url, "POST", spec)  # a signal waits: only the response tells what to stop
    except Interrupted:
        base = url.partition("/resume")[0]
        raise NotNow(
            f"The lab had not responded yet; what it has started continues there. See {base}."
        ) from None


def _polled(
    signals: DeferredSignals, at: str, view: V, kind: TypeAdapter[V], on_change: Callable[[V], None]
) -> tuple[V, int | None]:
    """Poll until the end.

    The first stop signal stops what was submitted. A second one leaves it running and raises NotNow.
    """
    stopped_by: int | None = None
    while view.state.is_unfinished:
        try:
            with signals.delivered():
                time.sleep(POLL_S)
                view = _read(kind, at)
                on_change(view)
        except Interrupted as signal:
            if stopped_by is not None:
                raise NotNow(f"It continues at {at}; stop it there.") from None
            stopped_by = signal.number
            with contextlib.suppress(NotNow):  # it has just ended
                fetch_json("POST", f"{at}/stop")
    return view, stopped_by
