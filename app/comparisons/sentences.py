"""The result of a comparison in sentences: ranking, ratios, and why entries are not ranked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.comparisons.ranking import Ranking
from app.results.figures import Figure
from app.schemas.comparison import ComparisonEntry, ComparisonTrial, EntryPair, EntryResult
from app.schemas.states import Relation
from app.statistics.decision import BAND, ROUNDS

WITHIN = f"within ±{100 * (BAND - 1):.0f} %"
RELATIONS = {
    Relation.BETTER: "better",
    Relation.WORSE: "worse",
    Relation.NO_DIFFERENCE: "no difference",
    Relation.TOO_CLOSE: "too close to call",
    Relation.LEANS_BETTER: "leans to better",
    Relation.LEANS_WORSE: "leans to worse",
    Relation.LEANS_NO_DIFFERENCE: "leans to no difference",
    Relation.UNCLEAR: "unclear",
    Relation.NOT_COMPARED: "not compared",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the sentences are about."""

    metric: Figure
    entries: Sequence[ComparisonEntry]
    standings: Sequence[EntryResult]
    ranking: Ranking
    trials: Sequence[ComparisonTrial]


def sentences(result: Result) -> Iterator[str]:
    """Yield the result: the ranking or why there is none, and why entries are not ranked."""
    measured = result.ranking.order
    if len(result.entries) == 1 and measured:
        yield _single_entry(result)
    elif len(measured) < 2:
        yield _no_winner(result, measured)
    elif not result.ranking.places:
        yield from _tendency(result)
    else:
        yield from _ranked(result)
    for reason, entries in _excluded(result).items():
        names = _listed([result.entries[i].name for i in entries])
        standings = [result.standings[i] for i in entries]
        total = sum(each.trials for each in standings)
        invalid = total - sum(each.ranked for each in standings)
        yield f"{names}: {invalid} of {total} trials not valid. {reason}"


def _excluded(result: Result) -> dict[str, list[int]]:
    """Return the entries without a place by the reason of their excluded trials."""
    found: dict[str, list[int]] = {}
    for i in range(len(result.entries)):
        if i not in result.ranking.places and (reason := main_reason(i, result.trials)):
            found.setdefault(reason, []).append(i)
    return found


def main_reason(entry: int, trials: Sequence[ComparisonTrial]) -> str | None:
    """Return the most frequent reason for which trials of an entry were excluded."""
    reasons = [each.why_not for each in trials if each.entry == entry and each.why_not]
    return max(reasons, key=reasons.count) if reasons else None


def _single_entry(result: Result) -> str:
    value = f"{result.metric.title} {_median(result, 0)}"
    return f"{result.entries[0].name}: {value} ({_count(result, 0)}). A single entry is not ranked."


def _no_winner(result: Result, measured: Sequence[int]) -> str:
    subject = f"Only {result.entries[measured[0]].name}" if measured else "No model"
    compared = f"{subject} has enough valid trials to compare {result.metric.title}."
    return f"No winner: fewer than two valid models. {compared}"


def _tendency(result: Result) -> Iterator[str]:
    yield f"No places: a ranking needs {ROUNDS} valid rounds. Fewer show a tendency."
    best, *others = result.ranking.order
    value = f"{result.metric.title} {_median(result, best)} ({_count(result, best)})"
    yield f"{result.entries[best].name}: {value}."
    for i in others:
        yield _beside(result, i, best)


def _ranked(result: Result) -> Iterator[str]:
    ranking = result.ranking
    leaders = [i for i, place in ranking.places.items() if place == 1]
    best = leaders[0]
    value = f"{_median(result, best)} ({_count(result, best)})"
    extreme = "lowest" if result.metric.lower_is_better else "highest"
    if len(leaders) == 1:
        beaten = set(ranking.better_than[best])
        if beaten.issuperset(ranking.places.keys() - {best}):
            yield f"{result.entries[best].name} has the {extreme} {result.metric.title}: {value}."
        else:
            yield f"{result.entries[best].name} leads by {result.metric.title}: {value}."
    else:
        names = _listed([result.entries[i].name for i in leaders])
        yield f"{names} share the {extreme} {result.metric.title}. {result.entries[best].name}: {value}."
    for i in ranking.order:
        if i != best:
            yield _beside(result, i, best)
    for pair in ranking.pairs:
        if best not in (pair.a, pair.b) and pair.relation in _UNDECIDED:
            names = _listed([result.entries[i].name for i in (pair.a, pair.b)])
            yield f"{names}: {_undecided(pair)}."


_UNDECIDED = (Relation.NO_DIFFERENCE, Relation.TOO_CLOSE)


def _beside(result: Result, i: int, best: int) -> str:
    """Return an entry beside the best one: value, ratios, and what they show unless it is plainly worse."""
    pair = next(each for each in result.ranking.pairs if {each.a, each.b} == {i, best})
    name, value = result.entries[i].name, _median(result, i)
    if pair.ratio is None:
        return f"{name}: {value}. No round has a valid trial of it and of {result.entries[best].name}."
    ratios = [ratio if pair.a == i else 1 / ratio for ratio in pair.ratios]
    ratio = pair.ratio if pair.a == i else 1 / pair.ratio
    relative = f"{ratio:.2f} times that of {result.entries[best].name} ({_range(ratios)})"
    relation = pair.relation if pair.a == i else _INVERSE.get(pair.relation, pair.relation)
    shown = {
        Relation.WORSE: "",
        Relation.NO_DIFFERENCE: f": no difference ({WITHIN})",
    }.get(relation, f": {RELATIONS[relation]}")
    return f"{name}: {value}, {relative}{shown}."


_INVERSE = {
    Relation.BETTER: Relation.WORSE,
    Relation.WORSE: Relation.BETTER,
    Relation.LEANS_BETTER: Relation.LEANS_WORSE,
    Relation.LEANS_WORSE: Relation.LEANS_BETTER,
}


def _undecided(pair: EntryPair) -> str:
    what = f"no difference, {WITHIN}" if pair.relation is Relation.NO_DIFFERENCE else "too close to call"
    return f"{what} (ratios {_range(pair.ratios)})"


def _range(ratios: Sequence[float]) -> str:
    rounds = "one round" if len(ratios) == 1 else f"{len(ratios)} rounds"
    if len(ratios) == 1:
        return rounds
    return f"{min(ratios):.2f} to {max(ratios):.2f} in {rounds}"


def _median(result: Result, entry: int) -> str:
    figure = result.standings[entry].figures[str(result.metric)]
    assert figure
    return result.metric.text(figure.median)


def _count(result: Result, entry: int) -> str:
    figure = result.standings[entry].figures[str(result.metric)]
    assert figure
    return "one trial" if figure.n == 1 else f"median of {figure.n} trials"


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
