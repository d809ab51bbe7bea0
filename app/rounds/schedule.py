"""The schedule of rounds: each round measures the entries of all unfinished needs, in random order. Pure.

A *need* is what must be valid in the same round to count: two entries whose ratio is asked for, or a single
entry. A void trial is repeated together with its partner in a further round, at most three times per need.
An entry of which no trial is valid is not repeated: more rounds would not help.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

REPEATS_MAX = 3  # of each need
SEED_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Round:
    """A round that has ended: the entries in the order in which they were measured.

    `void`: for each need, those of its entries whose trial does not count for it.
    """

    order: tuple[int, ...]
    void: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round that is being measured: its number, from 1, and its entries in the order to measure them."""

    number: int
    order: tuple[int, ...]


@dataclass
class RoundSchedule:
    """The rounds of one cell. Entries are identified by index.

    Several rounds may be open at the same time, on different hosts. An open round counts as valid when the
    next one is chosen.

    `needs`: the entries of each need. `wanted`: returns the number of valid rounds that a need wants, which
    may depend on what has been measured.
    """

    needs: Sequence[tuple[int, ...]]
    wanted: Callable[[int], int]
    seed: int
    ended: list[Round] = field(default_factory=list)
    open: list[OpenRound] = field(default_factory=list)

    def next_order(self) -> tuple[int, ...] | None:
        """Return the entries of the next round in the order in which to measure them; None: no more rounds.

        The order follows from the seed and the number of the round.
        """
        entries = sorted({entry for i in self._lacking() for entry in self.needs[i]})
        random.Random(f"{self.seed}/{len(self.ended) + len(self.open)}").shuffle(entries)
        return tuple(entries) or None

    def begin(self) -> OpenRound | None:
        """Open the next round and return it; None: no more rounds, unless an open one proves to be void."""
        order = self.next_order()
        if order is None:
            return None
        self.open.append(OpenRound(len(self.ended) + len(self.open) + 1, order))
        return self.open[-1]

    def record(self, order: Sequence[int], void: Sequence[Collection[int]]) -> None:
        """Add a round that has ended. `void`: for each need, the entries whose trial does not count."""
        self.ended.append(Round(tuple(order), tuple(map(frozenset, void))))
        self.open = [each for each in self.open if each.order is not order]

    def counted(self, need: int) -> int:
        """Return the number of rounds in which all entries of a need are valid."""
        return sum(not each.void[need].intersection(self.needs[need]) for each in self._measured(need))

    def is_exhausted(self, need: int) -> bool:
        """Return whether too many rounds of a need were void."""
        measured = self._measured(need)
        if len(measured) - self.counted(need) > REPEATS_MAX:
            return True
        never_valid = any(all(entry in each.void[need] for each in measured) for entry in self.needs[need])
        return len(measured) >= self.wanted(need) and never_valid

    def is_complete(self, need: int) -> bool:
        """Return whether a need has enough valid rounds, or is given up."""
        return self.counted(need) >= self.wanted(need) or self.is_exhausted(need)

    @property
    def remaining_trials(self) -> int:
        """Estimate how many trials are left, if all of them are valid."""
        rounds: dict[int, int] = {}
        for i in range(len(self.needs)):
            for entry in () if self.is_complete(i) else self.needs[i]:
                rounds[entry] = max(rounds.get(entry, 0), self.wanted(i) - self.counted(i))
        return sum(rounds.values())

    def _lacking(self) -> list[int]:
        """Return the needs that want a further round beside the open ones, and may have one."""
        return [
            i
            for i in range(len(self.needs))
            if not self.is_exhausted(i) and self.counted(i) + self._open(i) < self.wanted(i)
        ]

    def _open(self, need: int) -> int:
        return sum(set(self.needs[need]) <= set(each.order) for each in self.open)

    def _measured(self, need: int) -> list[Round]:
        return [each for each in self.ended if set(self.needs[need]) <= set(each.order)]
