"""An answer that depends on the kind of host is noted, once each kind has enough rounds for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.experiments.claim import Finding
from app.experiments.evidence import Evidence
from app.experiments.on_hosts import kind_note
from app.experiments.session import ActiveExperiment
from app.schemas.experiment import ExperimentRound, ExperimentTrial
from app.schemas.host import RoundHost
from app.schemas.states import Answer
from app.statistics.decision import QUICK_ROUNDS
from tests.app.experiments.test_session import POOL, POOL_RATIO, REACTOR, experiment

SMALL, LARGE = "2 CPUs, AMD", "8 CPUs, Intel"


def check(evidence: Evidence) -> Finding:
    """Return that the claim holds if each ratio is above 1, and that it does not if each is below."""
    ratios = evidence.ratios("a", "reactor-pool", "reactor", "cpu_us")
    if len(ratios) < evidence.rounds_wanted:
        return Finding(Answer.UNCLEAR, ())
    holds = all(ratio > 1 for ratio in ratios)
    return Finding(Answer.HOLDS if holds else Answer.DOES_NOT_HOLD, ())


def measured(small: Sequence[float], large: Sequence[float]) -> ActiveExperiment:
    """Return an experiment with these ratios, one for each round, on two kinds of hosts."""
    hosts = (RoundHost("a", SMALL, len(small)), RoundHost("b", LARGE, len(large)))
    found = experiment([POOL, REACTOR], POOL_RATIO, hosts=hosts, host_notes=())
    found.claim = replace(found.claim, check=check)
    for number, (host, ratio) in enumerate([*(("a", x) for x in small), *(("b", x) for x in large)], 1):
        trials = (
            ExperimentTrial("reactor-pool", 2 * number, None, {"cpu_us": 10 * ratio}),
            ExperimentTrial("reactor", 2 * number + 1, None, {"cpu_us": 10.0}),
        )
        found.rounds.append(ExperimentRound("a", number, trials, host))
    return found


def test_answers_that_differ_are_noted() -> None:
    note = kind_note(measured([2.0] * QUICK_ROUNDS, [0.5] * QUICK_ROUNDS))
    assert note == (
        "The result depends on the kind of host: holds on 2 CPUs, AMD; does not hold on 8 CPUs, Intel."
    )


def test_answers_that_are_equal_are_not_noted() -> None:
    assert kind_note(measured([2.0] * QUICK_ROUNDS, [3.0] * QUICK_ROUNDS)) is None


def test_too_few_rounds_on_a_kind_show_nothing() -> None:
    assert kind_note(measured([2.0] * QUICK_ROUNDS, [0.5] * (QUICK_ROUNDS - 1))) is None


def test_hosts_of_one_kind_are_not_compared() -> None:
    found = measured([2.0] * QUICK_ROUNDS, [0.5] * QUICK_ROUNDS)
    hosts = tuple(replace(host, kind=SMALL) for host in found.view.hosts)
    found.view = replace(found.view, hosts=hosts)
    assert kind_note(found) is None
