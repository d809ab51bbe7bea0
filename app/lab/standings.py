"""From the trials of a comparison to its answer: which count, what they came to, who is called better. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from app.lab.comparison import Entry, Result, Standing, Trial, lower_is_better
from app.lab.ranking import Ranking, rank, spread
from app.lab.summary import total
from app.lab.verdict import RATE_RATIO_MIN
from app.lab.views import Latency, Ledger, RunView
from app.load import histogram
from app.load.outcome import Outcome

METRICS = {"equal-rate": "cpu_us", "ceiling": "achieved_per_s"}
LEDGER = tuple(field.name for field in fields(Ledger) if field.name != "generator")


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial with what it measured. Histograms are None where it measured nothing."""

    trial: Trial
    figures: dict[str, float | None]
    service: Any
    response: Any


def measured(view: str, entry: int, trial: int, run: RunView, outcome: Outcome | None) -> Measured:
    """A run that has ended, as a trial."""
    figures: dict[str, float | None] = {name: getattr(run.ledger, name, None) for name in LEDGER}
    figures["achieved_per_s"] = run.summary.achieved_per_s if run.summary else None
    response = run.summary.latency.response if run.summary else None
    described = Trial(
        entry, trial, run.id, run.state, run.verdict.title if run.verdict else None, figures["achieved_per_s"],
        figures["cpu_us"], response.p50_us if response else None, response.p99_us if response else None,
        run.ledger.rss_bytes_peak if run.ledger else None, why_not(view, run), run.thresholds,
    )  # fmt: skip
    both = (total(outcome, clock) if outcome else None for clock in ("service", "response"))
    return Measured(described, figures, *both)


def why_not(view: str, run: RunView) -> str | None:
    """Why a run cannot be ranked in this view; None if it can."""
    if run.verdict is None or run.summary is None:
        return run.failure or f"It was {run.state} before anything was measured."
    if not run.verdict.rankable:
        return f"{run.verdict.title}. {run.verdict.because[0] if run.verdict.because else ''}".strip()
    if view == "equal-rate":
        ratio = run.summary.rate_ratio
        if ratio is not None and ratio < RATE_RATIO_MIN:
            return f"It answered {100 * ratio:.1f} % of the offered rate, so its cost is that of another rate."
        if run.ledger is None or not run.ledger.cpu_us:
            return "Its CPU time is not known."
    return None if run.summary.achieved_per_s else "Nothing was answered in the measured time."


def conclude(view: str, entries: Sequence[Entry], trials: Sequence[Measured]) -> Result:
    """The answer that these trials give."""
    metric = METRICS[view]
    of = [[each for each in trials if each.trial.entry == i] for i in range(len(entries))]
    ranked = [[each for each in mine if each.trial.why_not is None] for mine in of]
    ranking = rank([_values(mine, metric) for mine in ranked], lower_is_better(metric))
    standings = tuple(_standing(i, of[i], ranked[i], ranking) for i in range(len(entries)))
    unranked = tuple(i for i in range(len(entries)) if i not in ranking.places)
    said = tuple(_sentences(metric, entries, standings, ranking, trials))
    return Result(metric, standings, (*ranking.order, *unranked), ranking.groups, said)


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


def _standing(entry: int, mine: list[Measured], ranked: list[Measured], ranking: Ranking) -> Standing:
    count = counted(mine, entry)
    names = ("achieved_per_s", *LEDGER)
    latency = Latency(*map(histogram.percentiles, merged(count))) if count else None
    return Standing(
        entry, ranking.places.get(entry), len(ranked), len(mine), ranking.better_than.get(entry, ()),
        {name: spread(_values(count, name)) for name in names}, latency,
    )  # fmt: skip


def _values(trials: Sequence[Measured], name: str) -> list[float]:
    return [value for each in trials if (value := each.figures[name]) is not None]


def _sentences(
    metric: str, entries: Sequence[Entry], standings: Sequence[Standing], ranking: Ranking, trials: Sequence[Measured]
) -> list[str]:
    if not ranking.order:
        said = ["Nothing could be ranked."]
    else:
        best = ranking.order[0]
        leaders = [i for i in ranking.order if ranking.places[i] == 1]
        said = [_leading(metric, [entries[i].name for i in leaders], [standings[i] for i in leaders])]
        if len(ranking.order) == 1:
            said.append("Nothing else was ranked, so there is nothing to call.")
        if close := [entries[i].name for i in ranking.order if i not in (*leaders, *ranking.better_than[best])]:
            said.append(f"Yet {entries[best].name} is not called better than {_listed(close)}.")
        said += [_beside(metric, entries, standings, best, i) for i in ranking.order if i not in leaders]
        said += [
            f"{_listed([entries[i].name for i in group])} are too close to call."
            for group in ranking.groups
            if list(group) != leaders
        ]
    for i, entry in enumerate(entries):
        if i not in ranking.places and (reason := _reason(i, trials)):
            said.append(f"{entry.name} is not ranked: {reason}")
    return said


def _leading(metric: str, names: Sequence[str], standings: Sequence[Standing]) -> str:
    """Who is first, or who cannot be told apart there."""
    figures = [figure for each in standings if (figure := each.figures[metric])]
    ends = sorted({figures[0].median, figures[-1].median})
    value = " to ".join(f"{end:.1f}" if metric == "cpu_us" else f"{end:,.0f}" for end in ends)
    unit = "µs of CPU a request" if metric == "cpu_us" else "requests/s"
    trials = sorted({figure.n for figure in figures})
    count = "one trial each" if trials == [1] else f"medians of {' to '.join(map(str, trials))} trials"
    if len(names) > 1:
        return f"{_listed(names)} are too close to call: {value} {unit} ({count})."
    count = "one trial" if trials == [1] else f"the median of {trials[0]} trials"
    return f"{names[0]} {'costs the least' if metric == 'cpu_us' else 'is the fastest'}: {value} {unit}, {count}."


def _beside(metric: str, entries: Sequence[Entry], standings: Sequence[Standing], best: int, other: int) -> str:
    ours, theirs = standings[other].figures[metric], standings[best].figures[metric]
    assert ours and theirs
    ratio = ours.median / theirs.median
    if metric == "cpu_us":
        return f"{entries[other].name} costs {ratio:.2f} times as much as {entries[best].name}."
    return f"{entries[other].name} reaches {100 * ratio:.0f} % of the rate of {entries[best].name}."


def _reason(entry: int, trials: Sequence[Measured]) -> str | None:
    reasons = [each.trial.why_not for each in trials if each.trial.entry == entry and each.trial.why_not]
    return max(reasons, key=reasons.count) if reasons else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
