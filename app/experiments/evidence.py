"""The evidence of a check: the rounds that were measured, read by cell, entry and figure. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.schemas.experiment import ExperimentRound, ExperimentTrial


@dataclass(frozen=True, slots=True)
class Pair:
    """The ratio of two entries in one round. `void`: why there is none, in a sentence."""

    number: int
    ratio: float | None
    void: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rounds of an experiment. `rounds_wanted`: valid rounds that a ratio needs for an answer.

    blocked: why a cell was not measured, by its key, or an entry of it, by `blocked_key`. facts: see
    app/experiments/facts.py.
    """

    rounds: Sequence[ExperimentRound]
    rounds_wanted: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)

    def ratios(self, cell: str, a: str, b: str, figure: str) -> list[float]:
        """Return the ratios of `a` to `b` of the rounds in which both are valid, in their order."""
        return [pair.ratio for pair in self.pairs(cell, a, b, figure) if pair.ratio is not None]

    def pairs(self, cell: str, a: str, b: str, figure: str) -> list[Pair]:
        """Return what each round shows of two entries, in their order; without rounds that lack one."""
        found = []
        for each in self._rounds(cell):
            trials = [_trial(each, entry) for entry in (a, b)]
            if None in trials:
                continue
            of_a, of_b = (self._valid(each, entry, figure) for entry in (a, b))
            ratio = of_a / of_b if of_a is not None and of_b else None
            void = next((trial.void[figure] for trial in trials if trial and figure in trial.void), "")
            found.append(Pair(each.number, ratio, void or ("" if ratio else "A value is missing.")))
        return found

    def values(self, cell: str, entry: str, figure: str, needed: Sequence[str] = ()) -> list[float]:
        """Return the valid values of an entry in the order of the rounds.

        `needed`: further figures that must be valid in the same trial.
        """
        found = []
        for each in self._rounds(cell):
            value = self._valid(each, entry, figure)
            if value is not None and all(self._valid(each, entry, name) is not None for name in needed):
                found.append(value)
        return found

    def shown(self, cell: str, entry: str, figure: str) -> list[float]:
        """Return all known values of an entry, valid or not, for figures that do not decide."""
        trials = (_trial(each, entry) for each in self._rounds(cell))
        values = (trial.values.get(figure) for trial in trials if trial)
        return [value for value in values if value is not None]

    def reason(self, cell: str, entries: Sequence[str], figures: Sequence[str]) -> str | None:
        """Return the most frequent reason for which trials of these entries do not count; None: all count."""
        for key in (cell, *(blocked_key(cell, entry) for entry in entries)):
            if key in self.blocked:
                return self.blocked[key]
        reasons = Counter(self._reasons(cell, entries, figures))
        return reasons.most_common(1)[0][0] if reasons else None

    def _reasons(self, cell: str, entries: Sequence[str], figures: Sequence[str]) -> Iterator[str]:
        for each in self._rounds(cell):
            for trial in each.trials:
                if trial.entry in entries:
                    yield from (
                        f"{trial.entry}: {trial.void[figure]}" for figure in figures if figure in trial.void
                    )

    def _rounds(self, cell: str) -> Iterator[ExperimentRound]:
        return (each for each in self.rounds if each.cell == cell)

    def _valid(self, of: ExperimentRound, entry: str, figure: str) -> float | None:
        trial = _trial(of, entry)
        return None if trial is None or figure in trial.void else trial.values.get(figure)


def blocked_key(cell: str, entry: str) -> str:
    """Return the key of an entry of a cell in `Evidence.blocked`."""
    return f"{cell}/{entry}"


def _trial(of: ExperimentRound, entry: str) -> ExperimentTrial | None:
    return next((trial for trial in of.trials if trial.entry == entry), None)
