"""The result of a comparison from its trials: figures per entry, ranking and sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.comparisons.ranking import Ranking, rank, spread
from app.comparisons.sentences import Result, sentences
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.results.checks import capitalised
from app.results.figures import LEDGER, figure
from app.results.fitness import invalid_reason
from app.results.summary import merged_histogram
from app.schemas.comparison import ComparisonEntry, ComparisonResult, ComparisonTrial, EntryResult
from app.schemas.result import Latency
from app.schemas.run import RunView


@dataclass(frozen=True, slots=True)
class MeasuredTrial:
    """A trial with its figures and histograms. Histograms are None if the run measured nothing."""

    trial: ComparisonTrial
    figures: dict[str, float | None]
    service: Any
    response: Any


def measured_trial(
    metric: str, entry: int, number: int, run: RunView, outcome: Outcome | None
) -> MeasuredTrial:
    """Return a finished run as trial `number` (from 1) of an entry. `metric`: name of the compared figure."""
    figures = {
        name: figure(name).value(run.summary, run.ledger) for name in (*LEDGER, "achieved_per_s", metric)
    }
    response = run.summary.latency.response if run.summary else None
    trial = ComparisonTrial(
        entry=entry,
        trial=number,
        run=run.id,
        state=run.state,
        verdict=run.verdict.title if run.verdict else None,
        achieved_per_s=figures["achieved_per_s"],
        cpu_us=figures["cpu_us"],
        p50_us=response.p50_us if response else None,
        p99_us=response.p99_us if response else None,
        rss_bytes_peak=run.ledger.rss_bytes_peak if run.ledger else None,
        why_not=exclusion_reason(metric, run),
        thresholds=run.thresholds,
        value=figures[metric],
    )
    histograms = (merged_histogram(outcome, clock) if outcome else None for clock in ("service", "response"))
    return MeasuredTrial(trial, figures, *histograms)


def exclusion_reason(metric: str, run: RunView) -> str | None:
    """Return why this figure of a run is excluded from the ranking, in one sentence; None: it is valid."""
    if run.verdict is None or run.summary is None:
        return run.failure or f"No data was collected: the run was {run.state}."
    if reason := invalid_reason(run.verdict, metric):
        return reason
    if not run.summary.achieved_per_s:
        return "No request was completed in the measured time."
    if not figure(metric).value(run.summary, run.ledger):
        return f"{capitalised(figure(metric).title)} is unknown."
    return None


def compute_result(
    metric: str, entries: Sequence[ComparisonEntry], trials: Sequence[MeasuredTrial]
) -> ComparisonResult:
    """Return the result. Places need two entries with seven valid rounds in common."""
    by_entry = [[each for each in trials if each.trial.entry == i] for i in range(len(entries))]
    valid = [[each for each in own if each.trial.why_not is None] for own in by_entry]
    values = [{each.trial.trial: _value(each, metric) for each in own} for own in valid]
    ranking = rank(values, figure(metric).lower_is_better)
    standings = tuple(_entry_result(i, metric, by_entry[i], valid[i], ranking) for i in range(len(entries)))
    without_value = tuple(i for i in range(len(entries)) if i not in ranking.order)
    result = Result(figure(metric), entries, standings, ranking, [each.trial for each in trials])
    return ComparisonResult(
        metric=metric,
        standings=standings,
        order=(*ranking.order, *without_value),
        groups=ranking.groups,
        said=tuple(sentences(result)),
        pairs=ranking.pairs,
    )


def usable_trials(trials: Sequence[MeasuredTrial], entry: int) -> list[MeasuredTrial]:
    """Return the trials for the figures of an entry: valid ones, or all measured ones if none is valid."""
    measured = [each for each in trials if each.trial.entry == entry and each.response is not None]
    return [each for each in measured if each.trial.why_not is None] or measured


def merged_histograms(trials: Sequence[MeasuredTrial]) -> tuple[Any, Any]:
    """Return the merged histograms of service and response time. Percentiles are never averaged."""
    return (
        histogram.merge(each.service for each in trials if each.service is not None),
        histogram.merge(each.response for each in trials if each.response is not None),
    )


def _entry_result(
    entry: int, metric: str, trials: list[MeasuredTrial], valid: list[MeasuredTrial], ranking: Ranking
) -> EntryResult:
    usable = usable_trials(trials, entry)
    names = ("achieved_per_s", *LEDGER, metric)
    return EntryResult(
        entry=entry,
        place=ranking.places.get(entry),
        ranked=len(valid),
        trials=len(trials),
        better_than=ranking.better_than.get(entry, ()),
        figures={name: spread(_values(usable, name)) for name in names},
        latency=Latency(*map(histogram.percentiles, merged_histograms(usable))) if usable else None,
    )


def _values(trials: Sequence[MeasuredTrial], name: str) -> list[float]:
    return [value for each in trials if (value := each.figures[name]) is not None]


def _value(trial: MeasuredTrial, name: str) -> float:
    value = trial.figures[name]
    assert value is not None, "a valid trial has a value"
    return value
