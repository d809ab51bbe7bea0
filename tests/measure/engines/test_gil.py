"""What of the handlers' work overlaps: with the GIL, without it, and in several processes."""

from __future__ import annotations

import os

import pytest

from engines.catalogue import model_modules
from tests.engines.conftest import Starter, variants
from tests.engines.driver import Variant
from tests.engines.prefork_io.test_prefork import PREFORK, groups
from tests.engines.process.test_free_threaded import python, require
from tests.measure.conftest import Report

from .cpu import most_cores, overlap

__all__ = ["python"]
HASH, CPU = "/hash?us=60000", "/cpu?us=60000"
OVERLAPS = 1.3  # times the cores that a sequence wants
ONE_CORE = 1.1

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="overlap needs two CPUs")
pools_or_threads = pytest.mark.parametrize("kind", variants(lambda v: v.pooled or v.model == "blocking"))
one_thread = pytest.mark.parametrize("kind", variants(lambda v: v.name in ("reactor", "proactor")))


@pools_or_threads
def test_work_that_releases_the_gil_overlaps(start: Starter, kind: Variant, report: Report) -> None:
    """Noise: cores wanted (run-queue wait included) by four requests at once, relative to the same four in
    sequence on the same engine; median of five alternated rounds.
    """
    engine = start(kind)
    with engine.clients(4) as clients:
        ratio = overlap(engine, clients, HASH)
    report(f"{ratio:.2f} times the cores of a sequence")
    assert ratio > OVERLAPS


@one_thread
def test_work_that_releases_the_gil_does_not_overlap_on_one_thread(
    start: Starter, kind: Variant, report: Report
) -> None:
    """Noise: CPU time per wall time, which other processes can only lower. The control is the test above: on
    the same machine it finds more than one core where work overlaps.
    """
    engine = start(kind)
    with engine.clients(4) as clients:
        cores = most_cores(engine, clients, HASH)
    report(f"{cores:.2f} cores at most")
    assert cores < ONE_CORE


@pools_or_threads
def test_work_that_holds_the_gil_does_not_overlap(start: Starter, kind: Variant, report: Report) -> None:
    """Noise: CPU time per wall time, which other processes can only lower. The control is the test above: on
    the same machine it finds more than one core where work overlaps.
    """
    engine = start(kind)
    if not engine.ready["gil"]:
        pytest.skip("this Python has no GIL: the work does overlap")
    with engine.clients(4) as clients:
        cores = most_cores(engine, clients, CPU)
    report(f"{cores:.2f} cores at most")
    assert cores < ONE_CORE


@pytest.mark.skipif(
    model_modules()["prefork"].MODEL.why_unavailable() is not None, reason="prefork is unavailable"
)
def test_work_that_holds_the_gil_overlaps_in_processes(start: Starter, report: Report) -> None:
    """Noise: as above, a ratio to a sequence on the same engine, alternated."""
    engine = start(PREFORK)
    with groups(engine, 2) as (these, those):
        ratio = overlap(engine, (*these, *those), CPU)
    report(f"{ratio:.2f} times the cores of a sequence")
    assert ratio > OVERLAPS


@pools_or_threads
def test_work_overlaps_on_a_python_without_the_gil(
    start: Starter, kind: Variant, python: str, report: Report
) -> None:
    """Noise: as above, a ratio to a sequence on the same engine, alternated."""
    require(python, kind)
    engine = start(kind, python=python)
    with engine.clients(4) as clients:
        ratio = overlap(engine, clients, CPU)
    report(f"{ratio:.2f} times the cores of a sequence")
    assert ratio > OVERLAPS
