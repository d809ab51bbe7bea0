"""The result of a comparison from its trials: figures per entry, ranking and sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.comparisons.ranking import Ranking, rank, spread
from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from app.results.figures import LEDGER, Figure, figure
from app.results.fitness import invalid_reason
from app.results.summary import merged_histogram
from app.schemas.comparison import ComparisonEntry, ComparisonResult, ComparisonTrial, EntryResult
from app.schemas.result import Latency
from app.schemas.run import RunView

VALID_SHARE_MIN = 0.5  # of the trials of an entry; with fewer valid trials it is not ranked


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
        return f"{_capitalised(figure(metric).title)} is unknown."
    return None


def compute_result(
    metric: str, entries: Sequence[ComparisonEntry], trials: Sequence[MeasuredTrial]
) -> ComparisonResult:
    """Return the result. There is no winner unless two entries have enough valid trials."""
    by_entry = [[each for each in trials if each.trial.entry == i] for i in range(len(entries))]
    valid = [[each for each in own if each.trial.why_not is None] for own in by_entry]
    ranked = [
        fit if len(fit) >= VALID_SHARE_MIN * len(own) else []
        for fit, own in zip(valid, by_entry, strict=True)
    ]
    ranking = rank([_values(own, metric) for own in ranked], figure(metric).lower_is_better)
    if len(ranking.order) < 2:
        ranking = Ranking((), {}, {}, ())
    results = tuple(_entry_result(i, metric, by_entry[i], valid[i], ranking) for i in range(len(entries)))
    unranked = tuple(i for i in range(len(entries)) if i not in ranking.places)
    sentences = tuple(_sentences(figure(metric), entries, results, ranking, trials))
    return ComparisonResult(metric, results, (*ranking.order, *unranked), ranking.groups, sentences)


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


def _sentences(
    metric: Figure,
    entries: Sequence[ComparisonEntry],
    results: Sequence[EntryResult],
    ranking: Ranking,
    trials: Sequence[MeasuredTrial],
) -> Iterator[str]:
    """Yield the result in sentences: winner, other ranked entries, unranked entries."""
    if len(entries) == 1 and results[0].ranked:
        yield _single_entry(metric, entries[0], results[0])
    elif not ranking.order:
        yield _no_winner(metric, entries, results)
    else:
        yield from _ranked(metric, entries, results, ranking)
    for i, entry in enumerate(entries):
        if i not in ranking.places and (reason := _main_reason(i, trials)):
            invalid = results[i].trials - results[i].ranked
            yield f"{entry.name}: {invalid} of {results[i].trials} trials not valid. {reason}"


def _ranked(
    metric: Figure, entries: Sequence[ComparisonEntry], results: Sequence[EntryResult], ranking: Ranking
) -> Iterator[str]:
    best = ranking.order[0]
    leaders = [i for i in ranking.order if ranking.places[i] == 1]
    yield _leaders(metric, [entries[i].name for i in leaders], [results[i] for i in leaders])
    for i in ranking.order:
        if i not in leaders and i not in ranking.better_than[best]:
            yield _too_close([entries[best].name, entries[i].name])
    for i in ranking.order:
        if i not in leaders:
            yield _relative(metric, entries, results, i, best)
    for group in ranking.groups:
        if list(group) != leaders:
            yield _too_close([entries[i].name for i in group])


def _too_close(names: Sequence[str]) -> str:
    return f"{_listed(names)}: too close to call."


def _single_entry(metric: Figure, entry: ComparisonEntry, result: EntryResult) -> str:
    spread = result.figures[str(metric)]
    assert spread
    value = f"{metric.title} {metric.text(spread.median)}"
    return f"{entry.name}: {value} ({_count(spread.n)}). A single entry is not ranked."


def _no_winner(metric: Figure, entries: Sequence[ComparisonEntry], results: Sequence[EntryResult]) -> str:
    valid = [
        entries[each.entry].name for each in results if each.ranked >= max(1, VALID_SHARE_MIN * each.trials)
    ]
    subject = f"Only {valid[0]}" if valid else "No model"
    compared = f"{subject} has enough valid trials to compare {metric.title}."
    return f"No winner: fewer than two valid models. {compared}"


def _leaders(metric: Figure, names: Sequence[str], results: Sequence[EntryResult]) -> str:
    """Return the sentence on the winner, or on those that share the first place."""
    spreads = [spread for each in results if (spread := each.figures[str(metric)])]
    if len(names) == 1:
        extreme = "lowest" if metric.lower_is_better else "highest"
        value = metric.text(spreads[0].median)
        return f"{names[0]} has the {extreme} {metric.title}: {value} ({_count(spreads[0].n)})."
    numbers = sorted({spread.n for spread in spreads})
    count = "one trial each" if numbers == [1] else f"medians of {' to '.join(map(str, numbers))} trials"
    ends = sorted({spreads[0].median, spreads[-1].median})
    values = f"{_capitalised(metric.title)} {' to '.join(map(metric.text, ends))}"
    return f"{_too_close(names)} {values} ({count})."


def _relative(
    metric: Figure, entries: Sequence[ComparisonEntry], results: Sequence[EntryResult], i: int, best_i: int
) -> str:
    entry, best = entries[i], entries[best_i]
    spread, best_spread = results[i].figures[str(metric)], results[best_i].figures[str(metric)]
    assert spread and best_spread
    ratio = spread.median / best_spread.median
    return f"{entry.name}: {metric.text(spread.median)}, {ratio:.2f} times that of {best.name}."


def _main_reason(entry: int, trials: Sequence[MeasuredTrial]) -> str | None:
    """Return the most frequent reason for which trials of an entry were excluded."""
    reasons = [each.trial.why_not for each in trials if each.trial.entry == entry and each.trial.why_not]
    return max(reasons, key=reasons.count) if reasons else None


def _count(n: int) -> str:
    return "one trial" if n == 1 else f"median of {n} trials"


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
