"""From the trials of a comparison to its answer: which count, what they came to, who is called better. Pure."""

from __future__ import annotations

from collections.abc import Sequence
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

ENOUGH_SHARE = 0.5  # of its trials that must be fit, before an entry is called anything


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial with what it measured. Histograms are None where it measured nothing."""

    trial: ComparisonTrial
    figures: dict[str, float | None]
    service: Any
    response: Any


def measured(metric: str, entry: int, trial: int, run: RunView, outcome: Outcome | None) -> Measured:
    """A run that has ended, as a trial of a comparison by `metric`."""
    figures = {
        name: figure(name).value(run.summary, run.ledger) for name in (*LEDGER, "achieved_per_s", metric)
    }
    response = run.summary.latency.response if run.summary else None
    described = ComparisonTrial(
        entry,
        trial,
        run.id,
        run.state,
        run.verdict.title if run.verdict else None,
        figures["achieved_per_s"],
        figures["cpu_us"],
        response.p50_us if response else None,
        response.p99_us if response else None,
        run.ledger.rss_bytes_peak if run.ledger else None,
        why_not(metric, run),
        run.thresholds,
        figures[metric],
    )
    both = (merged_histogram(outcome, clock) if outcome else None for clock in ("service", "response"))
    return Measured(described, figures, *both)


def why_not(metric: str, run: RunView) -> str | None:
    """Why this figure of a run cannot be ranked; None if it can."""
    if run.verdict is None or run.summary is None:
        return run.failure or f"It was {run.state} before anything was measured."
    if reason := invalid_reason(run.verdict, metric):
        return reason
    if not run.summary.achieved_per_s:
        return "Nothing was answered in the measured time."
    if not figure(metric).value(run.summary, run.ledger):
        return f"Its {figure(metric).title} is not known."
    return None


def conclude(metric: str, entries: Sequence[ComparisonEntry], trials: Sequence[Measured]) -> ComparisonResult:
    """The answer that these trials give. With fewer than two entries that have enough fit trials there is no winner."""
    of = [[each for each in trials if each.trial.entry == i] for i in range(len(entries))]
    fit = [[each for each in mine if each.trial.why_not is None] for mine in of]
    ranked = [
        ours if len(ours) >= ENOUGH_SHARE * len(mine) else [] for ours, mine in zip(fit, of, strict=True)
    ]
    ranking = rank([_values(mine, metric) for mine in ranked], figure(metric).lower_is_better)
    if len(ranking.order) < 2:
        ranking = Ranking((), {}, {}, ())
    standings = tuple(_standing(i, metric, of[i], fit[i], ranking) for i in range(len(entries)))
    unranked = tuple(i for i in range(len(entries)) if i not in ranking.places)
    said = tuple(_sentences(metric, entries, standings, ranking, trials))
    return ComparisonResult(metric, standings, (*ranking.order, *unranked), ranking.groups, said)


def counted(trials: Sequence[Measured], entry: int) -> list[Measured]:
    """Those trials of an entry that its figures are of: the ranked ones, or all measured ones if there is none."""
    mine = [each for each in trials if each.trial.entry == entry and each.response is not None]
    return [each for each in mine if each.trial.why_not is None] or mine


def merged(trials: Sequence[Measured]) -> tuple[Any, Any]:
    """Service and response of several trials: histograms added, percentiles never averaged."""
    return (
        histogram.merge(each.service for each in trials if each.service is not None),
        histogram.merge(each.response for each in trials if each.response is not None),
    )


def _standing(
    entry: int, metric: str, mine: list[Measured], ranked: list[Measured], ranking: Ranking
) -> EntryResult:
    count = counted(mine, entry)
    names = ("achieved_per_s", *LEDGER, metric)
    latency = Latency(*map(histogram.percentiles, merged(count))) if count else None
    return EntryResult(
        entry,
        ranking.places.get(entry),
        len(ranked),
        len(mine),
        ranking.better_than.get(entry, ()),
        {name: spread(_values(count, name)) for name in names},
        latency,
    )


def _values(trials: Sequence[Measured], name: str) -> list[float]:
    return [value for each in trials if (value := each.figures[name]) is not None]


def _sentences(
    metric: str,
    entries: Sequence[ComparisonEntry],
    standings: Sequence[EntryResult],
    ranking: Ranking,
    trials: Sequence[Measured],
) -> list[str]:
    of = figure(metric)
    if len(entries) == 1 and standings[0].ranked:
        said = [_alone(of, entries[0], standings[0])]
    elif not ranking.order:
        said = [_no_winner(of, entries, standings)]
    else:
        best = ranking.order[0]
        leaders = [i for i in ranking.order if ranking.places[i] == 1]
        said = [_leading(of, [entries[i].name for i in leaders], [standings[i] for i in leaders])]
        if close := [
            entries[i].name for i in ranking.order if i not in (*leaders, *ranking.better_than[best])
        ]:
            said.append(f"Yet {entries[best].name} is not called better than {_listed(close)}.")
        said += [_beside(of, entries, standings, best, i) for i in ranking.order if i not in leaders]
        said += [
            f"{_listed([entries[i].name for i in group])} are too close to call."
            for group in ranking.groups
            if list(group) != leaders
        ]
    for i, entry in enumerate(entries):
        if i not in ranking.places and (reason := _reason(i, trials)):
            bad = standings[i].trials - standings[i].ranked
            said.append(f"{entry.name}: {bad} of {standings[i].trials} trials not valid. {reason}")
    return said


def _alone(of: Figure, entry: ComparisonEntry, standing: EntryResult) -> str:
    """The only one: what it came to, and no place."""
    spread = standing.figures[str(of)]
    assert spread
    count = "one trial" if spread.n == 1 else f"the median of {spread.n} trials"
    return f"{entry.name}: {of.title} {of.text(spread.median)}, {count}. It was not compared with anything."


def _no_winner(of: Figure, entries: Sequence[ComparisonEntry], standings: Sequence[EntryResult]) -> str:
    valid = [
        entries[each.entry].name for each in standings if each.ranked >= max(1, ENOUGH_SHARE * each.trials)
    ]
    who = f"only {valid[0]} has" if valid else "no entry has"
    return f"No winner: {who} enough valid trials to compare {of.title}."


def _leading(of: Figure, names: Sequence[str], standings: Sequence[EntryResult]) -> str:
    """Who is first, or who cannot be told apart there."""
    figures = [spread for each in standings if (spread := each.figures[str(of)])]
    trials = sorted({spread.n for spread in figures})
    if len(names) > 1:
        ends = sorted({figures[0].median, figures[-1].median})
        count = "one trial each" if trials == [1] else f"medians of {' to '.join(map(str, trials))} trials"
        return (
            f"{_listed(names)} are too close to call: {of.title} {' to '.join(map(of.text, ends))} ({count})."
        )
    count = "one trial" if trials == [1] else f"the median of {trials[0]} trials"
    extreme = "lowest" if of.lower_is_better else "highest"
    return f"{names[0]} has the {extreme} {of.title}: {of.text(figures[0].median)}, {count}."


def _beside(
    of: Figure, entries: Sequence[ComparisonEntry], standings: Sequence[EntryResult], best: int, other: int
) -> str:
    ours, theirs = standings[other].figures[str(of)], standings[best].figures[str(of)]
    assert ours and theirs
    ratio = f"{ours.median / theirs.median:.2f} times that of {entries[best].name}"
    return f"{entries[other].name}: {of.text(ours.median)}, {ratio}."


def _reason(entry: int, trials: Sequence[Measured]) -> str | None:
    reasons = [each.trial.why_not for each in trials if each.trial.entry == entry and each.trial.why_not]
    return max(reasons, key=reasons.count) if reasons else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
