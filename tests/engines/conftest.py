"""Engines for the tests: shared ones that a test leaves as they were, or one with the test's own settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from engines.catalogue import model_modules

from .driver import VARIANTS, Engine, Variant, running

OWN_IO = (
    "blocking",
    "reactor",
    "proactor",
    "prefork",
)  # each with its own I/O code; the others share theirs


def _param(variant: Variant, full: bool) -> Any:
    reason = model_modules()[variant.model].MODEL.why_unavailable()
    marks: list[pytest.MarkDecorator] = [pytest.mark.skipif(reason is not None, reason=str(reason))]
    if full:
        marks.append(pytest.mark.full)
    return pytest.param(variant, id=variant.name, marks=marks)


def variants(
    choose: Callable[[Variant], bool] = lambda _: True, default: Callable[[Variant], bool] = lambda _: True
) -> list[Any]:
    """Those that `choose` takes, as parameters; `make test` has only those that `default` takes.

    They are skipped, with the model's own reason, where the model is unavailable.
    """
    return [_param(variant, full=not default(variant)) for variant in VARIANTS if choose(variant)]


def is_model(variant: Variant) -> bool:
    """A model with its default knobs."""
    return not variant.knobs


def has_own_io(variant: Variant) -> bool:
    """A default variant whose I/O code no other model has: `make test` runs the HTTP tables on these."""
    return is_model(variant) and variant.model in OWN_IO


class Pool:
    """One engine of each variant, started when it is first used."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._engines: dict[Variant, Engine] = {}

    def get(self, variant: Variant) -> Engine:
        if variant not in self._engines:
            self._engines[variant] = self._stack.enter_context(running(variant.patient()))
        return self._engines[variant]


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Engines that all tests of this test process share. At the end each must stop with code 0, without a
    traceback.
    """
    with contextlib.ExitStack() as stack:
        yield Pool(stack)


@contextlib.contextmanager
def _shared(pool: Pool, variant: Variant) -> Iterator[Engine]:
    """Return an engine of the pool, for a test that leaves it running and without connections."""
    engine = pool.get(variant)
    yield engine
    assert engine.process.poll() is None, f"the shared engine has ended: {engine.stderr()}"


@pytest.fixture(params=variants(default=is_model))
def engine(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Engine]:
    """A shared engine of each variant in turn."""
    with _shared(pool, request.param) as engine:
        yield engine


@pytest.fixture(params=variants(default=has_own_io))
def table_engine(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Engine]:
    """As `engine`, for tables of hundreds of rows: `make test` runs them on the models with I/O code of their
    own.
    """
    with _shared(pool, request.param) as engine:
        yield engine


@pytest.fixture(params=variants(default=is_model))
def variant(request: pytest.FixtureRequest) -> Variant:
    """Each variant in turn, to be started by the test."""
    chosen: Variant = request.param
    return chosen


class Starter(Protocol):
    def __call__(self, variant: Variant, **options: Any) -> Engine: ...


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start engines that stop with the test, without timeouts except those that the test sets.

    One that the test has not stopped must stop with code 0.
    """
    with contextlib.ExitStack() as stack:

        def begin(variant: Variant, **options: Any) -> Engine:
            return stack.enter_context(running(variant.patient(), **options))

        yield begin
