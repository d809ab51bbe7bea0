"""A catalogue of small claims, so that tests measure for tenths of a second instead of minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from app.experiments import calibration, experiments
from app.experiments.checks import check_ratios, count_result, finding
from app.experiments.claim import Cell, Claim, Count, Entry, Finding, Ratio
from app.experiments.evidence import Evidence

PLAN = {"executor": "constant-vus", "vus": 2, "duration_s": 0.5, "warmup_s": 0, "think_time_ms": 5}
CELL = Cell("tiny", "a tiny load", PLAN, (Entry("reactor"), Entry("blocking")))
CONNECTIONS = Count("tiny", "reactor", ("connections",), trials=2)
RATIO = Ratio("tiny", "blocking", "reactor", "connections", None)  # equal at any speed
ABSENT = Cell("absent", "a model that there is not", PLAN, (Entry("reactor"), Entry("no-such-model")))
TOO_MANY = Cell("too-many", "too many connections", {**PLAN, "vus": 10_000_000}, (Entry("reactor"),))


def _ratio(evidence: Evidence) -> Finding:
    return check_ratios(evidence, (RATIO,))


def _count(evidence: Evidence) -> Finding:
    return finding([count_result(evidence, CONNECTIONS, "Connections", "predicted: 2", lambda n: n == 2)])


def _absent(evidence: Evidence) -> Finding:
    need = Count("absent", "no-such-model", ("connections",))
    return finding([count_result(evidence, need, "Connections", "predicted: 2", lambda n: n == 2)])


def _too_many(evidence: Evidence) -> Finding:
    need = Count("too-many", "reactor", ("connections",))
    return finding([count_result(evidence, need, "Connections", "predicted: 2", lambda n: n == 2)])


CLAIMS = {
    claim.id: claim
    for claim in (
        Claim("tiny-ratio", 1, "As many connections.", "connections", _ratio, cells=(CELL,), needs=(RATIO,)),
        Claim(
            "tiny-count", 2, "Two connections.", "connections", _count, cells=(CELL,), needs=(CONNECTIONS,)
        ),
        Claim(
            "tiny-absent",
            3,
            "No such model.",
            "threads",
            _absent,
            cells=(ABSENT,),
            needs=(Count("absent", "no-such-model", ("connections",)),),
        ),
        Claim(
            "tiny-too-many",
            4,
            "Too many connections.",
            "threads",
            _too_many,
            cells=(TOO_MANY,),
            needs=(Count("too-many", "reactor", ("connections",)),),
        ),
    )
}


def check_by(ratio: Ratio) -> Callable[[Evidence], Finding]:
    """Return the check of a claim with one ratio."""
    return lambda evidence: check_ratios(evidence, (ratio,))


def _small_pair(pair: Claim) -> Claim:
    """Return the A/A pair by connections, which are equal on any machine, with a small load."""
    (cell,), (need,) = pair.cells, pair.ratios
    ratio = replace(need, figure="connections")

    return replace(pair, cells=(replace(cell, plan=PLAN),), needs=(ratio,), check=check_by(ratio))


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
