"""Engines for the tests: one of each kind for a whole module, or one with knobs of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from engines.catalogue import lessons

from .driver import VARIANTS, Engine, Variant, running


def _param(variant: Variant) -> Any:
    reason = lessons()[variant.model].MODEL.why_unavailable()
    return pytest.param(variant, id=variant.name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))


def variants(choose: Callable[[Variant], bool] = lambda _: True) -> list[Any]:
    """Those for which `choose` says so, as parameters; skipped with the model's own reason where it is unavailable."""
    return [_param(variant) for variant in VARIANTS if choose(variant)]


@pytest.fixture(scope="module", params=variants())
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One engine for all the tests of a module; they leave it as they found it."""
    with running(request.param) as engine:
        yield engine


@pytest.fixture(params=variants())
def variant(request: pytest.FixtureRequest) -> Variant:
    """Each kind of engine in turn, to be started by the test."""
    chosen: Variant = request.param
    return chosen


class Starter(Protocol):
    def __call__(self, variant: Variant, **how: Any) -> Engine: ...


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start engines that end with the test, and must end well unless it has ended them."""
    with contextlib.ExitStack() as stack:

        def begin(variant: Variant, **how: Any) -> Engine:
            return stack.enter_context(running(variant, **how))

        yield begin
