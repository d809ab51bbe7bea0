"""A catalogue of small claims, so that tests measure for tenths of a second instead of minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from app.experiments import calibration, experiments
from app.experiments.checks import check_ratios, count_result, finding
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Ratio
from app.experiments.evidence import Evidence

PLAN = {"executor": "constant-vus", "vus": 2, "duration_s": 0.5, "warmup_s": 0, "think_time_ms": 5}
CELL = Cell("tiny", "a tiny load", PLAN, (Entry("reactor"), Entry("blocking")))
THREADS = Count("tiny", "reactor", ("threads_peak",), trials=2)
RATIO = Ratio("tiny", "blocking", "reactor", "threads_peak", 2.0)  # 3 threads / 1 thread, whatever the speed
ABSENT = Cell("absent", "a model that there is not", PLAN, (Entry("reactor"), Entry("no-such-model")))
TOO_MANY = Cell("too-many", "too many connections", {**PLAN, "vus": 10_000_000}, (Entry("reactor"),))


def _ratio(evidence: Evidence) -> Finding:
    return check_ratios(evidence, (RATIO,))


def _count(evidence: Evidence) -> Finding:
    return finding([count_result(evidence, THREADS, "Threads", "predicted: 1", lambda n: n == 1)])


def _absent(evidence: Evidence) -> Finding:
    need = Count("absent", "no-such-model", ("threads_peak",))
    return finding([count_result(evidence, need, "Threads", "predicted: 1", lambda n: n == 1)])


def _too_many(evidence: Evidence) -> Finding:
    need = Count("too-many", "reactor", ("threads_peak",))
    return finding([count_result(evidence, need, "Threads", "predicted: 1", lambda n: n == 1)])


CLAIMS = {
    claim.id: claim
    for claim in (
        Claim("tiny-ratio", 1, "More threads.", "threads", _ratio, cells=(CELL,), needs=(RATIO,)),
        Claim("tiny-count", 2, "One thread.", "threads", _count, cells=(CELL,), needs=(THREADS,)),
        Claim(
            "tiny-absent",
            3,
            "No such model.",
            "threads",
            _absent,
            cells=(ABSENT,),
            needs=(Count("absent", "no-such-model", ("threads_peak",)),),
        ),
        Claim(
            "tiny-too-many",
            4,
            "Too many connections.",
            "threads",
            _too_many,
            cells=(TOO_MANY,),
            needs=(Count("too-many", "reactor", ("threads_peak",)),),
        ),
    )
}


def _small_pair(pair: Claim) -> Claim:
    """Return the A/A pair by threads, which are equal on any machine, with a small load."""
    (cell,), (need,) = pair.cells, pair.ratios
    ratio = replace(need, figure="threads_peak")

    def check(evidence: Evidence) -> Finding:
        return check_ratios(evidence, (ratio,))

    return replace(pair, cells=(replace(cell, plan=PLAN),), needs=(ratio,), check=check)


@contextmanager
def tiny_catalogue() -> Iterator[None]:
    """Replace all claims, and the A/A pair, by small ones during the block."""
    with (
        patch("app.experiments.catalogue.catalogue", lambda: CLAIMS),
        patch.object(experiments, "catalogue", lambda: CLAIMS),
        patch.object(calibration, "FIRST", _small_pair(calibration.FIRST)),
        patch.object(calibration, "REPEATED", _small_pair(calibration.REPEATED)),
    ):
        yield
