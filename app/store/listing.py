"""Which runs of the history, and in what order: the filter of the list, and its SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression

from app.store.schema import RunRow

BY_HAND = "by-hand"  # where the name of a scenario may stand
ORDERS: Mapping[str, tuple[Any, ...]] = {
    "newest": (RunRow.id.desc(),),
    "oldest": (RunRow.id,),
    "rate": (RunRow.rate_per_s.desc().nulls_last(), RunRow.id.desc()),
    "p99": (RunRow.p99_us.asc().nulls_last(), RunRow.id.desc()),
    "cpu": (RunRow.cpu_us.asc().nulls_last(), RunRow.id.desc()),
}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What runs have to be; what is None or empty does not matter. Times are RFC 3339 UTC, from and before."""

    model: str | None = None
    scenario: str | None = None  # or BY_HAND
    verdict: str | None = None
    state: str | None = None
    rankable: bool | None = None
    comparison: int | None = None
    text: str | None = None  # every word of it is in label, title, plan, engine or knobs
    since: str | None = None
    until: str | None = None
    sort: str = "newest"

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        for name in ("model", "verdict", "state", "rankable", "comparison"):
            if (value := getattr(self, name)) is not None:
                found.append(getattr(RunRow, name) == value)
        if self.scenario is not None:
            by_hand = self.scenario == BY_HAND
            found.append(RunRow.scenario.is_(None) if by_hand else RunRow.scenario == self.scenario)
        found += [
            RunRow.words.contains(word, autoescape=True) for word in (self.text or "").casefold().split()
        ]
        if self.since:
            found.append(RunRow.created_at >= self.since)
        if self.until:
            found.append(RunRow.created_at < self.until)
        return found

    def order(self) -> tuple[UnaryExpression[Any], ...]:
        return ORDERS[self.sort]
