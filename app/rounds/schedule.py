"""The schedule of rounds: each round measures the entries of all unfinished groups, in random order. Pure.

A *group* is what must be valid in the same round to count: two entries whose ratio is asked for, or a single
entry. A void trial is repeated together with its partners in a further round, at most three times per group.
An entry of which no trial is valid is not repeated: more rounds would not help.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Group = tuple[int, ...]  # indexes of entries

REPEATS_MAX = 3  # of each group
SEED_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Round:
    """A round that has ended: the entries in the order in which they were measured, and the valid ones."""

    order: tuple[int, ...]
    valid: frozenset[int]

    def has(self, group: Group) -> bool:
        """Return whether all entries of the group were measured."""
        return set(group) <= set(self.order)

    def counts(self, group: Group) -> bool:
        """Return whether all entries of the group were measured and are valid."""
        return self.valid.issuperset(group)


@dataclass
class RoundSchedule:
    """The rounds of one cell. `wanted`: returns the number of valid rounds that a group needs."""

    groups: Sequence[Group]
    wanted: Callable[[Group], int]
    seed: int
    ended: list[Round] = field(default_factory=list)

    def next_order(self) -> tuple[int, ...] | None:
        """Return the entries of the next round in the order in which to measure them; None: no more rounds.

        The order follows from the seed and the number of the round.
        """
        entries = sorted({entry for group in self.groups if self.is_lacking(group) for entry in group})
        random.Random(f"{self.seed}/{len(self.ended)}").shuffle(entries)
        return tuple(entries) or None

    def record(self, order: Iterable[int], valid: Iterable[int]) -> None:
        """Add a round that has ended."""
        self.ended.append(Round(tuple(order), frozenset(valid)))

    def is_lacking(self, group: Group) -> bool:
        """Return whether the group needs a further round, and may have one."""
        counted = sum(each.counts(group) for each in self.ended)
        return counted < self.wanted(group) and not self.is_exhausted(group)

    def is_exhausted(self, group: Group) -> bool:
        """Return whether too many rounds of the group were void."""
        measured = [each for each in self.ended if each.has(group)]
        void = sum(not each.counts(group) for each in measured)
        if void > REPEATS_MAX:
            return True
        never_valid = any(all(entry not in each.valid for each in measured) for entry in group)
        return len(measured) >= self.wanted(group) and never_valid

    @property
    def remaining_trials(self) -> int:
        """Estimate how many trials are left, if all of them are valid."""
        lacking = [group for group in self.groups if self.is_lacking(group)]
        rounds = {entry: 0 for group in lacking for entry in group}
        for group in lacking:
            missing = self.wanted(group) - sum(each.counts(group) for each in self.ended)
            for entry in group:
                rounds[entry] = max(rounds[entry], missing)
        return sum(rounds.values())
